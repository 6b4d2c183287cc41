import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Bitmap } from '../protocol.js';
import { colour } from '../views/plot.js';

/** Counts changes of the colour scheme: pictures in the theme's colours are painted anew. */
const scheme = signal(0);
const changed = (): void => {
  scheme.value += 1;
};
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ['data-theme'] });

type Rgb = readonly [number, number, number];
const rgb = (host: HTMLElement, name: string): Rgb => {
  const [red = 0, green = 0, blue = 0] = (colour(host, name).match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
};

export const decode = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** Pixels of a picture with signs: from orange over the surface to teal. */
function tinted(bytes: Uint8Array, host: HTMLElement): number[] {
  const [zero, above, below] = [rgb(host, 'surface'), rgb(host, 'accent'), rgb(host, 'cut')];
  return [...bytes].flatMap((byte) => {
    const share = Math.min(1, Math.abs(byte - 128) / 127);
    const end = byte < 128 ? below : above;
    return [0, 1, 2].map((part) => (zero[part] ?? 0) + ((end[part] ?? 0) - (zero[part] ?? 0)) * share).concat(255);
  });
}

function pixels({ planes, bytes }: Bitmap, signs: boolean, host: HTMLElement): number[] {
  const own = decode(bytes);
  if (planes === 1 && signs) return tinted(own, host);
  const out: number[] = [];
  for (let at = 0; at < own.length; at += planes) {
    const red = own[at] ?? 0;
    out.push(red, planes === 3 ? (own[at + 1] ?? 0) : red, planes === 3 ? (own[at + 2] ?? 0) : red, 255);
  }
  return out;
}

/** A small picture; its words stand beside it. `signs`: bytes below 128 are negative. */
export function BitmapCanvas(props: { bitmap: Bitmap; signs?: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { bitmap, signs = false } = props;
  useEffect(() => {
    const surface = canvas.current;
    const host = surface?.parentElement;
    if (!surface || !host) return;
    const image = new ImageData(Uint8ClampedArray.from(pixels(bitmap, signs, host)), bitmap.width, bitmap.height);
    surface.getContext('2d')?.putImageData(image, 0, 0);
  }, [bitmap, signs, scheme.value]);
  return <canvas ref={canvas} class="bitmap" width={bitmap.width} height={bitmap.height} aria-hidden="true" />;
}

/** A picture of the person's own. */
export function Photo(props: { width: number; height: number; rgba: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height, rgba } = props;
  useEffect(() => {
    const own = Uint8ClampedArray.from(decode(rgba));
    if (own.length === width * height * 4) canvas.current?.getContext('2d')?.putImageData(new ImageData(own, width, height), 0, 0);
  }, [width, height, rgba]);
  return <canvas ref={canvas} class="bitmap" width={width} height={height} aria-hidden="true" />;
}

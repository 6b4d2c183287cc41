/** Numbers as a person reads them: three digits, a unit, a narrow space between. */

import { TAGS, language, text } from './strings.js';

const NARROW = '\u202f';

const formats = new Map<string, Intl.NumberFormat>();

/** A number with so many digits behind the point, as the language in use writes it. */
export const fixed = (value: number, least: number, most = least): string => {
  const key = `${language.value} ${least} ${most}`;
  const format =
    formats.get(key) ??
    new Intl.NumberFormat(TAGS[language.value], { minimumFractionDigits: least, maximumFractionDigits: most });
  formats.set(key, format);
  return format.format(value);
};

const digits = (value: number): string => {
  const size = Math.abs(value);
  const decimals = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2;
  return fixed(value, decimals);
};

const scaled = (value: number, units: readonly (readonly [number, string])[]): string => {
  for (const [size, unit] of units) {
    // 999.6 k reads as 1.00 M, so the rounding decides the unit.
    if (Math.abs(value) >= size * 0.9995) return `${digits(value / size)}${NARROW}${unit}`;
  }
  return String(value);
};

export const count = (value: number): string =>
  scaled(value, [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ]);

export const bytes = (value: number): string =>
  value < 1000
    ? `${value}${NARROW}B`
    : scaled(value, [
        [1e9, 'GB'],
        [1e6, 'MB'],
        [1e3, 'kB'],
      ]);

export const exactly = (value: number): string => fixed(value, 0, 3);

export const percent = (share: number, decimals = 0): string => `${fixed(share * 100, decimals)}${NARROW}%`;

/** A share of right answers, or a dash where there is none. */
export const right = (share: number | null): string => (share === null ? '\u2013' : percent(share, 1));

export const milliseconds = (value: number): string =>
  value < 1 ? `${digits(value * 1000)}${NARROW}\u00b5s` : `${digits(value)}${NARROW}ms`;

/** `-52 %`, with a real minus sign; nothing moves reads as `0 %`. */
export const changeOf = (before: number, after: number): string => {
  if (before === 0) return '';
  const share = (after - before) / before;
  const rounded = Math.round(share * 100);
  if (rounded === 0) return `0${NARROW}%`;
  return `${rounded < 0 ? '\u2212' : '+'}${Math.abs(rounded)}${NARROW}%`;
};

export const pointsOf = (before: number, after: number): string => {
  const points = (after - before) * 100;
  if (Math.abs(points) < 0.05) return `${fixed(0, 1)}${NARROW}${text.units.points}`;
  return `${points < 0 ? '\u2212' : '+'}${fixed(Math.abs(points), 1)}${NARROW}${text.units.points}`;
};

export const timesFaster = (before: number, after: number): string => {
  if (before <= 0 || after <= 0) return '';
  const times = before / after;
  return times >= 1 ? text.units.faster(fixed(times, 1)) : text.units.slower(fixed(1 / times, 1));
};

export const seconds = (value: number): string => {
  const whole = Math.max(0, Math.round(value));
  if (whole < 60) return `${whole}${NARROW}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}${NARROW}${text.units.minutes} ${String(whole % 60).padStart(2, '0')}${NARROW}s`;
  return `${Math.floor(minutes / 60)}${NARROW}${text.units.hours} ${String(minutes % 60).padStart(2, '0')}${NARROW}${text.units.minutes}`;
};

/** How long ago, in words: minutes, hours or days. */
export const ago = (milliseconds: number): string => {
  const words = new Intl.RelativeTimeFormat(TAGS[language.value], { numeric: 'auto' });
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 60) return words.format(-minutes, 'minute');
  if (minutes < 24 * 60) return words.format(-Math.round(minutes / 60), 'hour');
  return words.format(-Math.round(minutes / (24 * 60)), 'day');
};

const SUPERSCRIPTS = '\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079';

/** `2.4 x 10^-7`, set with superscript digits. */
export const scientific = (value: number): string => {
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  const mantissa = fixed(value / 10 ** exponent, 1);
  const raised = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[Number(digit)] ?? digit).join('');
  return `${mantissa}\u2009\u00d7\u200910${exponent < 0 ? '\u207b' : ''}${raised}`;
};

export const shape = (dimensions: readonly (number | string)[]): string =>
  dimensions.length === 0 ? text.units.scalar : dimensions.join('\u2009\u00d7\u2009');

import type { ComponentChildren } from 'preact';
import { client } from '../actions/session.js';
import * as format from '../format.js';
import type { FilterPlane, PlanOptions } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Told } from '../views/told.js';
import { useAnswer } from './answer.js';
import { short } from './filters.js';

const WIDTH = 640;
const HEIGHT = 420;
const EDGE = 24;

/** Both axes have one scale: what is far looks far. */
function frame({ points, median }: FilterPlane): (point: readonly [number, number]) => [number, number] {
  const all = [...points, median];
  const ends = (axis: 0 | 1): [number, number] => {
    const own = all.map((point) => point[axis]);
    return [Math.min(...own), Math.max(...own)];
  };
  const [[left, right], [bottom, top]] = [ends(0), ends(1)];
  const scale = Math.min(
    (WIDTH - 2 * EDGE) / Math.max(right - left, Number.MIN_VALUE),
    (HEIGHT - 2 * EDGE) / Math.max(top - bottom, Number.MIN_VALUE),
  );
  const fine = Number.isFinite(scale) && scale < 1e9 ? scale : 0;
  return ([x, y]) => [WIDTH / 2 + (x - (left + right) / 2) * fine, HEIGHT / 2 - (y - (top + bottom) / 2) * fine];
}

function Points(props: { plane: FilterPlane }) {
  const { plane } = props;
  const words = text.seeing.plane;
  const place = frame(plane);
  const [near, goes] = [new Set(plane.nearest), new Set(plane.goes)];
  const [x, y] = place(plane.median);
  return (
    <svg
      class="plane"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={words.label(plane.nearest.length, plane.points.length)}
    >
      {plane.points.map((point, filter) => {
        const [cx, cy] = place(point);
        return (
          <g key={filter}>
            {goes.has(filter) && <circle class="plane-ring" cx={cx} cy={cy} r="9" />}
            {near.has(filter) ? (
              <rect class="plane-near" x={cx - 4.5} y={cy - 4.5} width="9" height="9" transform={`rotate(45 ${cx} ${cy})`}>
                <title>{words.point(filter, short(plane.sums[filter] ?? 0))}</title>
              </rect>
            ) : (
              <circle class="plane-far" cx={cx} cy={cy} r="5">
                <title>{words.point(filter, short(plane.sums[filter] ?? 0))}</title>
              </circle>
            )}
          </g>
        );
      })}
      <path class="plane-median-ground" d={`M${x - 11} ${y}H${x + 11}M${x} ${y - 11}V${y + 11}`} />
      <path class="plane-median" d={`M${x - 11} ${y}H${x + 11}M${x} ${y - 11}V${y + 11}`} />
    </svg>
  );
}

function Mark(props: { label: string; children: ComponentChildren }) {
  return (
    <li>
      <svg width="18" height="18" aria-hidden="true">
        {props.children}
      </svg>
      {props.label}
    </li>
  );
}

function Legend() {
  const words = text.seeing.plane;
  return (
    <ul class="plane-legend">
      <Mark label={words.nearest}>
        <rect class="plane-near" x="4.5" y="4.5" width="9" height="9" transform="rotate(45 9 9)" />
      </Mark>
      <Mark label={words.others}>
        <circle class="plane-far" cx="9" cy="9" r="5" />
      </Mark>
      <Mark label={words.cut}>
        <circle class="plane-ring" cx="9" cy="9" r="7.5" />
      </Mark>
      <Mark label={words.median}>
        <path class="plane-median" d="M2 9H16M9 2V16" />
      </Mark>
    </ul>
  );
}

/** Every filter in the order in which FPGM would take them. */
function Table(props: { plane: FilterPlane }) {
  const { plane } = props;
  const words = text.seeing.plane;
  const [near, goes] = [new Set(plane.nearest), new Set(plane.goes)];
  const order = plane.sums.map((_, filter) => filter).sort((a, b) => (plane.sums[a] ?? 0) - (plane.sums[b] ?? 0));
  const mark = (gone: boolean): string => (gone ? text.seeing.goes : text.seeing.stays);
  return (
    <details class="more">
      <summary>{words.table}</summary>
      <div class="table-room table-tall" tabIndex={0} role="region" aria-label={words.table}>
        <table class="table">
          <caption class="hidden">{words.table}</caption>
          <thead>
            <tr>
              <th scope="col">{words.filter}</th>
              <th scope="col">{words.sum}</th>
              <th scope="col">{words.fpgm}</th>
              <th scope="col">{words.plan}</th>
            </tr>
          </thead>
          <tbody>
            {order.map((filter) => (
              <tr key={filter}>
                <th scope="row">{filter}</th>
                <td>{short(plane.sums[filter] ?? 0)}</td>
                <td>{mark(near.has(filter))}</td>
                <td>{mark(goes.has(filter))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** A layer's filters as points around their geometric median. */
export function Plane(props: { layer: number; plan: PlanOptions; planKey: string }) {
  const { layer, plan } = props;
  const words = text.seeing;
  const { value, problem } = useAnswer([store.model.value, layer, props.planKey], () =>
    client.call('filterPlane', { layer, plan }),
  );
  if (problem) return <p class="problem"><Told message={problem} /></p>;
  if (!value) return <p class="hint">{words.working}</p>;
  const goes = new Set(value.goes);
  const both = value.nearest.filter((filter) => goes.has(filter)).length;
  return (
    <>
      <p class="hint">{words.plane.lead(format.percent(value.share))}</p>
      <p role="status">
        {value.nearest.length === 0 ? words.plane.nothing : words.plane.agree(both, value.nearest.length)}
      </p>
      <figure class="plane-figure">
        <Points plane={value} />
        <figcaption>
          <Legend />
        </figcaption>
      </figure>
      <Table plane={value} />
    </>
  );
}

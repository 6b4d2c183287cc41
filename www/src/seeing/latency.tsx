import { timeLayers } from '../actions/model.js';
import * as format from '../format.js';
import type { LatencyTable } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { TaskProgress } from '../views/controls.js';

const WIDTH = 110;
const HEIGHT = 26;

type Points = LatencyTable['layers'][string];

/** Time against MACs, from nothing to the whole layer. */
function Curve(props: { layer: string; points: Points }) {
  const { layer, points } = props;
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return null;
  const [macs, time] = [last[0], Math.max(...points.map(([, own]) => own))];
  const place = ([x, y]: readonly [number, number]): string =>
    `${(3 + (x / Math.max(1, macs)) * (WIDTH - 6)).toFixed(1)},${(HEIGHT - 3 - (y / Math.max(time, Number.MIN_VALUE)) * (HEIGHT - 6)).toFixed(1)}`;
  const label = text.seeing.latency.curveOf(layer, format.milliseconds(first[1]), format.milliseconds(last[1]));
  return (
    <svg class="latency-curve" width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <line class="latency-ground" x1="3" x2={WIDTH - 3} y1={HEIGHT - 3} y2={HEIGHT - 3} />
      <polyline class="latency-line" points={points.map(place).join(' ')} />
    </svg>
  );
}

function Table(props: { table: LatencyTable }) {
  const { table } = props;
  const words = text.seeing.latency;
  const whole = store.wholeTime(table);
  const rows = Object.entries(table.layers).map(([layer, points]) => ({ layer, points, time: points.at(-1)?.[1] ?? 0 }));
  const share = (time: number): string => format.percent(whole > 0 ? time / whole : 0, 1);
  return (
    <div class="table-room table-tall" tabIndex={0} role="region" aria-label={words.table(table.device)}>
      <table class="table">
        <caption>{words.table(table.device)}</caption>
        <thead>
          <tr>
            <th scope="col">{words.layer}</th>
            <th scope="col">{words.whole}</th>
            <th scope="col">{words.share}</th>
            <th scope="col">{words.least}</th>
            <th scope="col">{words.curve}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ layer, points, time }) => {
            const [least, most] = [points[0], points.at(-1)];
            return (
              <tr key={layer}>
                <th scope="row">
                  <code>{layer}</code>
                </th>
                <td>{format.milliseconds(time)}</td>
                <td>{share(time)}</td>
                <td>
                  {least && most && least !== most
                    ? `${format.milliseconds(least[1])} (${format.percent(least[0] / Math.max(1, most[0]))})`
                    : '\u2013'}
                </td>
                <td>
                  <Curve layer={layer} points={points} />
                </td>
              </tr>
            );
          })}
          <tr>
            <th scope="row">{words.rest}</th>
            <td>{format.milliseconds(table.rest)}</td>
            <td>{share(table.rest)}</td>
            <td />
            <td />
          </tr>
        </tbody>
      </table>
    </div>
  );
}

/** Where the time goes, layer by layer. */
export function LatencyView() {
  const words = text.seeing.latency;
  const table = store.latencies.value;
  return (
    <>
      <p class="hint">{words.lead}</p>
      {table && <Table table={table} />}
      {store.task.value?.name !== 'latency' && (
        <div class="actions">
          <button type="button" class="button" disabled={store.busy.value} onClick={() => void timeLayers()}>
            {table ? text.cut.timeAgain : text.cut.timeButton}
          </button>
        </div>
      )}
      <TaskProgress name="latency" />
    </>
  );
}

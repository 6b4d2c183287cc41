import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { fetchScores } from '../actions/views.js';
import type { GroupScores } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Panel } from './panel.js';

const BINS = 32;
const HEIGHT = 44;
/** More histograms than this are shown only when asked for. */
const SHOWN = 12;

export interface Heights {
  least: number;
  most: number;
  /** Channels by height of score. */
  bins: number[];
  fullest: number;
  /** Scores, ascending. */
  sorted: number[];
}

export function heights(scores: readonly number[]): Heights {
  const sorted = [...scores].sort((a, b) => a - b);
  const least = sorted[0] ?? 0;
  const most = sorted.at(-1) ?? 0;
  const bins = new Array<number>(BINS).fill(0);
  for (const score of sorted) {
    const bin = most > least ? Math.min(BINS - 1, Math.floor(((score - least) / (most - least)) * BINS)) : 0;
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  return { least, most, bins, fullest: Math.max(...bins), sorted };
}

/** Where the line is, from 0 to 1: between the last channel that goes and the first that stays. */
export function line({ least, most, sorted }: Heights, gone: number): number {
  if (gone <= 0 || most <= least) return 0;
  const last = sorted[gone - 1] ?? most;
  const first = sorted[gone] ?? most;
  return ((last + first) / 2 - least) / (most - least);
}

/** All bars as pieces of a path, in a picture that is as wide as there are bars. */
const pieces = ({ bins, fullest }: Heights): string[] =>
  bins.map((count, bin) => {
    const height = count === 0 ? 0 : Math.max(2, (count / fullest) * (HEIGHT - 4));
    return height === 0 ? '' : `M${bin + 0.1} ${HEIGHT}v${-height}h.8v${height}z`;
  });

function Histogram(props: { group: GroupScores; gone: number }) {
  const { group, gone } = props;
  const seen = useMemo(() => heights(group.scores), [group]);
  // Two shapes instead of a shape a bar: there are many histograms, and all of them change while the slider moves.
  const bars = useMemo(() => pieces(seen), [seen]);
  const at = line(seen, gone) * BINS;
  const going = gone > 0 ? Math.max(0, Math.ceil(at - 0.5)) : 0;
  const label = text.scores.of(group.name, gone, group.scores.length);
  return (
    <li class="histogram">
      <svg viewBox={`0 0 ${BINS} ${HEIGHT}`} preserveAspectRatio="none" width="100%" height={HEIGHT} role="img" aria-label={label}>
        <path class="bar-gone-solid" d={bars.slice(0, going).join('')} />
        <path class="bar-kept" d={bars.slice(going).join('')} />
        {gone > 0 && <path class="threshold" d={`M${at.toFixed(2)} 0V${HEIGHT}`} />}
      </svg>
      <span class="histogram-name">
        <code>{group.name}</code>
        <span>
          {gone} / {group.scores.length}
        </span>
      </span>
    </li>
  );
}

function Histograms() {
  const all = useSignal(false);
  const own = store.settings.value;
  useEffect(() => {
    void fetchScores();
    // Everything that scores depend on; the slider is not among it.
  }, [own.criterion, own.reduction, own.normalizer, own.scope, own.seed, own.locks, store.unscored.value, store.model.value]);
  const groups = store.scores.value;
  if (!groups || groups.length === 0) return <p class="hint">{text.scores.none}</p>;
  const kept = new Map(store.shown.value?.groups.map((group) => [group.name, group.kept]));
  return (
    <>
      <p class="hint">{text.scores.lead}</p>
      <ul class="histograms">
        {(all.value ? groups : groups.slice(0, SHOWN)).map((group) => (
          <Histogram
            key={group.name}
            group={group}
            gone={group.scores.length - (kept.get(group.name) ?? group.scores.length)}
          />
        ))}
      </ul>
      {groups.length > SHOWN && !all.value && (
        <button type="button" class="button link" onClick={() => (all.value = true)}>
          {text.scores.more(groups.length)}
        </button>
      )}
    </>
  );
}

/** The scores of every group, with the line that the slider moves. */
export function ScoresPanel() {
  return <Panel name="scores" title={text.scores.title}>{() => <Histograms />}</Panel>;
}

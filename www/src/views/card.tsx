import type { ComponentChildren } from 'preact';
import * as format from '../format.js';
import type { Change, Evaluation } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Share } from './share.js';

function Line(props: {
  name: string;
  before: string;
  after: string | undefined;
  change: string | undefined;
  tone?: 'even' | 'bad' | undefined;
  share?: number | undefined;
  children?: ComponentChildren;
}) {
  return (
    <div class="line">
      <dt>{props.name}</dt>
      <dd>
        <span class="line-values">
          <span class="line-before">{props.before}</span>
          {props.after !== undefined && (
            <>
              <span class="arrow" aria-label={text.card.to}>
                →
              </span>
              <b class="line-after">{props.after}</b>
            </>
          )}
        </span>
        {props.change && <span class={`line-change${props.tone ? ` ${props.tone}` : ''}`}>{props.change}</span>}
        {props.share !== undefined && (
          <svg class="line-bar" width="100%" height="4" aria-hidden="true">
            <rect class="bar-ground" width="100%" height="4" rx="2" />
            <rect class="bar-kept" width={`${Math.min(100, props.share * 100)}%`} height="4" rx="2" />
          </svg>
        )}
        {props.children}
      </dd>
    </div>
  );
}

function SizeLine(props: { name: string; change: Change; show(value: number): string }) {
  const { before, after } = props.change;
  return (
    <Line
      name={props.name}
      before={props.show(before)}
      after={props.show(after)}
      change={format.changeOf(before, after)}
      share={before > 0 ? after / before : 1}
    />
  );
}

function Accuracy(props: { before: Evaluation | undefined; after: Evaluation | undefined; between: Evaluation | undefined }) {
  const { before, after, between } = props;
  if (!before) {
    return <Line name={text.card.accuracy} before={store.data.value ? text.card.notYet : text.card.noData} after={undefined} change={undefined} />;
  }
  const [old, now] = [before.top1, after?.top1 ?? null];
  const both = old !== null && now !== null;
  return (
    <Line
      name={text.card.accuracy}
      before={format.right(old)}
      after={after ? format.right(now) : undefined}
      change={both ? format.pointsOf(old, now) : undefined}
      tone={both && now < old ? (now < old - 0.02 ? 'bad' : 'even') : undefined}
    >
      {between && (
        <span class="line-more">
          {format.right(between.top1)} {text.card.rightAfter}
        </span>
      )}
    </Line>
  );
}

function Time(props: { before: Evaluation | undefined; after: Evaluation | undefined }) {
  const { before, after } = props;
  if (!before) return null;
  const old = before.milliseconds_per_image;
  const now = after?.milliseconds_per_image;
  return (
    <Line
      name={text.card.time}
      before={format.milliseconds(old)}
      after={now === undefined ? undefined : format.milliseconds(now)}
      change={now === undefined ? undefined : format.timesFaster(old, now)}
      share={now === undefined ? undefined : now / old}
    >
      <span class="line-more">{text.card.measured(before.device)}</span>
    </Line>
  );
}

/** What it was and what it is: an estimate until the cut is made. */
export function Card() {
  const shown = store.shown.value;
  const opened = store.model.value;
  if (!opened) return null;
  const { summary } = opened;
  const made = store.cutIsCurrent.value;
  const { original, cut, tuned } = store.evaluations.value;
  const after = made ? (tuned ?? cut) : undefined;
  const same = (value: number): Change => ({ before: value, after: value });
  return (
    <aside class={made ? 'card card-made' : 'card'} aria-label={made ? text.card.result : text.card.estimate}>
      <header>
        <h2>{made ? text.card.result : text.card.estimate}</h2>
        <p>{made ? text.card.resultMore : text.card.estimateMore}</p>
      </header>
      <dl>
        <Accuracy before={original} after={after} between={made && tuned ? cut : undefined} />
        <SizeLine name={text.card.macs} change={shown?.macs ?? same(summary.macs)} show={format.count} />
        <SizeLine name={text.card.parameters} change={shown?.parameters ?? same(summary.parameters)} show={format.count} />
        <SizeLine name={text.card.bytes} change={shown?.bytes ?? same(summary.bytes)} show={format.bytes} />
        <Time before={original} after={after} />
      </dl>
      <Share />
    </aside>
  );
}

import { useSignal } from '@preact/signals';
import { toggleLock } from '../actions/settings.js';
import * as format from '../format.js';
import type { Group, Pin } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { GraphPanel } from './graph.js';
import { Step } from './step.js';
import { Told } from './told.js';
import { WhyPanel } from './why.js';

/** More rows than this would push the slider out of sight. */
const ROWS = 14;

/** Width in proportion to the widest group; the hatched end is what goes. */
function Bar(props: { channels: number; kept: number; widest: number; whole: boolean }) {
  const kept = (props.kept / props.widest) * 100;
  const gone = ((props.channels - props.kept) / props.widest) * 100;
  return (
    <svg class={`bar${props.whole ? ' bar-whole' : ''}`} width="100%" height="14" aria-hidden="true">
      <rect class="bar-gone-ground" x={`${kept}%`} width={`${gone}%`} height="14" />
      <rect class="bar-gone" x={`${kept}%`} width={`${gone}%`} height="14" />
      <rect class="bar-kept" width={`${kept}%`} height="14" />
    </svg>
  );
}

export function HatchPattern() {
  return (
    <svg class="patterns" width="0" height="0" aria-hidden="true">
      <defs>
        <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-line" width="2" height="5" />
        </pattern>
      </defs>
    </svg>
  );
}

function Lock(props: { closed: boolean }) {
  return (
    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <rect x="3" y="7" width="10" height="7" rx="1.5" fill="currentColor" />
      <path
        d={props.closed ? 'M5 7V5a3 3 0 0 1 6 0v2' : 'M5 7V4.5a3 3 0 0 1 5.6-1.5'}
        fill="none"
        stroke="currentColor"
        stroke-width="1.6"
        stroke-linecap="round"
      />
    </svg>
  );
}

function Names(props: { title: string; names: readonly string[] }) {
  if (props.names.length === 0) return null;
  return (
    <div>
      <dt>{props.title}</dt>
      <dd>
        {props.names.map((name) => (
          <code key={name}>{name}</code>
        ))}
      </dd>
    </div>
  );
}

function Row(props: { group: Group; kept: number; widest: number }) {
  const { group, kept } = props;
  const locked = store.settings.value.locks.includes(group.name);
  const whole = locked || !group.prunable;
  return (
    <li class="group">
      <details>
        <summary>
          <span class="group-name">{group.name}</span>
          <Bar channels={group.channels} kept={kept} widest={props.widest} whole={whole} />
          <span class="group-count">
            {kept === group.channels ? (
              <span>{group.channels}</span>
            ) : (
              <>
                <span class="quiet-text">{group.channels} →</span> <b>{kept}</b>
              </>
            )}
          </span>
        </summary>
        <dl class="members">
          <Names title={text.groups.producers} names={group.producers} />
          <Names title={text.groups.consumers} names={group.consumers} />
          <Names title={text.groups.companions} names={group.companions} />
          <div>
            <dt>{text.model.parameters}</dt>
            <dd>{format.count(group.parameters)}</dd>
          </div>
          <div>
            <dt>{text.model.macs}</dt>
            <dd>{format.count(group.macs)}</dd>
          </div>
        </dl>
        {group.renormalised.length > 0 && <p class="hint">{text.groups.renormalised}</p>}
      </details>
      <button
        type="button"
        class="lock"
        aria-pressed={whole}
        aria-label={text.groups.lock(group.name)}
        title={text.groups.lock(group.name)}
        disabled={!group.prunable || store.busy.value}
        onClick={() => toggleLock(group.name)}
      >
        <Lock closed={whole} />
      </button>
    </li>
  );
}

function Pinned(props: { pinned: readonly Pin[] }) {
  if (props.pinned.length === 0) return null;
  return (
    <details class="more">
      <summary>
        {text.groups.pinned(props.pinned.length)} <span class="quiet-text">{text.groups.pinnedMore}</span>
      </summary>
      <ul class="reasons">
        {props.pinned.map((pin) => (
          <li key={`${pin.value}:${pin.axis}:${pin.node}`}>
            <code>{pin.value}</code>{' '}
            <span class="quiet-text">
              {text.groups.axis} {pin.axis}
              {pin.op && `, ${pin.op}`}
            </span>
            <Told message={pin.why} remedy={pin.what_to_do} />
          </li>
        ))}
      </ul>
    </details>
  );
}

export function GroupsStep() {
  const all = useSignal(false);
  const opened = store.model.value;
  if (!opened) return null;
  const { groups, pinned } = opened;
  const kept = new Map(store.shown.value?.groups.map((group) => [group.name, group.kept]));
  const widest = Math.max(1, ...groups.map((group) => group.channels));
  const channels = groups.reduce((sum, group) => sum + group.channels, 0);
  const rows = all.value ? groups : groups.slice(0, ROWS);
  return (
    <Step
      id="groups"
      state="done"
      note={groups.length > 0 ? text.groups.summary(groups.length, format.exactly(channels)) : text.groups.none}
    >
      <ul class="groups">
        {rows.map((group) => (
          <Row key={group.name} group={group} kept={kept.get(group.name) ?? group.channels} widest={widest} />
        ))}
      </ul>
      {groups.length > ROWS && (
        <button type="button" class="button link" onClick={() => (all.value = !all.value)}>
          {all.value ? text.groups.fewer : text.groups.all(groups.length)}
        </button>
      )}
      <Pinned pinned={pinned} />
      <div class="panels">
        <GraphPanel />
        <WhyPanel />
      </div>
    </Step>
  );
}

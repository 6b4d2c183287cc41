import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { client } from '../actions/session.js';
import { Canvas, type Hands } from '../graph/canvas.js';
import * as scene from '../graph/scene.js';
import type { Drawing, Role } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import * as format from '../format.js';
import { shownPlan, useAnswer } from '../seeing/answer.js';
import { ChannelMap } from './channels.js';
import { Segmented } from './controls.js';
import { Panel } from './panel.js';
import { Told } from './told.js';

const ZOOM_STEP = 1.25;
/** More finds than these are not shown. */
const FOUND = 8;
const ROLES: readonly Role[] = ['producer', 'consumer', 'companion'];

function Search(props: { drawing: Drawing; show(box: number): void }) {
  const words = useSignal('');
  const wanted = words.value.trim().toLowerCase();
  const found =
    wanted === ''
      ? []
      : props.drawing.nodes.flatMap(({ name, op, parameter }, node) =>
          [name, op, parameter ?? ''].some((word) => word.toLowerCase().includes(wanted)) ? [node] : [],
        );
  return (
    <div class="graph-search">
      <input
        type="search"
        aria-label={text.graph.search}
        placeholder={text.graph.search}
        value={words.value}
        onInput={(event) => (words.value = event.currentTarget.value)}
      />
      {wanted !== '' && (
        <div class="graph-found">
          <p class="hint" role="status">
            {text.graph.found(found.length)}
          </p>
          <ul>
            {found.slice(0, FOUND).map((node) => (
              <li key={node}>
                <button
                  type="button"
                  class="button link small"
                  onClick={() => {
                    const box = scene.laidOut.value?.shown.boxOf[node];
                    if (box === undefined) return;
                    words.value = '';
                    scene.select(box);
                    props.show(box);
                  }}
                >
                  <b>{props.drawing.nodes[node]?.op}</b> <code>{props.drawing.nodes[node]?.name}</code>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

/** What is known of the chosen box. */
function Details(props: { drawing: Drawing }) {
  const { drawing } = props;
  const at = scene.selected.value;
  const box = at === undefined ? undefined : scene.laidOut.value?.shown.boxes[at];
  if (!box || at === undefined) return <p class="hint">{text.graph.choose}</p>;
  const groups = store.model.value?.groups ?? [];
  const one = box.nodes.length === 1 ? drawing.nodes[box.nodes[0] ?? 0] : undefined;
  const members = new Map<number, Set<Role>>();
  for (const node of box.nodes) {
    for (const [group, role] of drawing.nodes[node]?.members ?? []) {
      members.set(group, (members.get(group) ?? new Set()).add(role));
    }
  }
  const inside = new Set(box.nodes);
  const given = drawing.edges.filter(([from]) => inside.has(from)).map(([, , value]) => drawing.values[value]);
  const shape = one && given[0]?.shape;
  const left = given[0] && scene.after.value?.[drawing.values.indexOf(given[0])];
  if (members.size === 0) for (const group of given.flatMap((value) => value?.groups ?? [])) members.set(group, new Set());
  return (
    <div class="graph-details" aria-live="polite">
      <p>
        <b>{one?.op ?? box.title}</b> <code>{one?.name ?? box.key}</code>{' '}
        {box.block && <span class="quiet-text">{text.graph.nodes(box.nodes.length)}</span>}
      </p>
      {one?.parameter && (
        <p>
          <span class="quiet-text">{text.graph.weight}</span> <code>{one.parameter}</code>
        </p>
      )}
      {shape && (
        <p>
          <span class="quiet-text">{text.graph.shape}</span> {format.shape(shape)}
          {left && format.shape(left) !== format.shape(shape) && (
            <>
              {' '}
              → <b>{format.shape(left)}</b>
            </>
          )}
        </p>
      )}
      {scene.loose.value.has(at) && (
        <p>
          <b class="problem">≈ {text.seeing.graph.renormalised}</b> {text.groups.renormalised}
        </p>
      )}
      <ChannelMap value={scene.valueAt({ box: at })} />
      {members.size === 0 && <p class="hint">{text.graph.noGroup}</p>}
      <ul class="graph-groups">
        {[...members].slice(0, 12).map(([group, roles]) => (
          <li key={group}>
            <button
              type="button"
              class="button small graph-group"
              aria-pressed={scene.lit.value === group}
              onClick={() => (scene.lit.value = group)}
            >
              <span class={`dot ink-group-${group % 6}`} aria-hidden="true" />
              {ROLES.filter((role) => roles.has(role))
                .map((role) => text.graph.roles[role])
                .join(', ')}{' '}
              <code>{groups[group]?.name}</code>
            </button>
            {(groups[group]?.renormalised.length ?? 0) > 0 && <span class="hint">{text.graph.renormalised}</span>}
          </li>
        ))}
      </ul>
      {box.pins.length > 0 && (
        <ul class="reasons">
          {box.pins.map((pin) => (
            <li key={`${pin.value}:${pin.axis}:${pin.node}`}>
              <b class="problem">{text.graph.pinned}</b> <code>{pin.value}</code>{' '}
              <span class="quiet-text">
                {text.groups.axis} {pin.axis}
              </span>
              <Told message={pin.why} remedy={pin.what_to_do} />
            </li>
          ))}
        </ul>
      )}
      {box.block && (
        <button type="button" class="button small" onClick={() => scene.openBox(at)}>
          {text.graph.open}
        </button>
      )}
    </div>
  );
}

function Tool(props: { label: string; sign: string; disabled?: boolean; press(): void }) {
  return (
    <button type="button" class="icon" aria-label={props.label} title={props.label} disabled={props.disabled} onClick={props.press}>
      <span aria-hidden="true">{props.sign}</span>
    </button>
  );
}

function Legend() {
  return (
    <p class="graph-legend hint">
      {ROLES.map((role) => (
        <span key={role} class={`legend legend-${role}`}>
          {text.graph.legend[role]}
        </span>
      ))}
      <span class="legend legend-pinned">{text.graph.legend.pinned}</span>
      <span class="legend legend-loose">{text.seeing.graph.renormalised}</span>
    </p>
  );
}

function Graph() {
  const wide = useSignal(false);
  const hands = useRef<Hands | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const opened = store.model.value;
  useEffect(() => {
    void scene.draw();
  }, [opened, store.drawing.value]);
  useEffect(() => scene.followLayout(), []);
  useEffect(() => {
    const escape = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') wide.value = false;
    };
    document.addEventListener('keydown', escape);
    return () => document.removeEventListener('keydown', escape);
  }, []);
  const { plan, key } = shownPlan();
  // Asked once the drawing is there, since the engine answers in turn.
  const wanted = store.drawing.value && plan;
  const { value: left } = useAnswer([opened, store.drawing.value, key], wanted && (() => client.call('widths', wanted)));
  useEffect(() => {
    scene.after.value = left;
  }, [left]);
  const go = (by: 1 | -1): void => {
    const box = scene.step(by);
    if (box !== undefined) hands.current?.show(box);
  };
  const laidOut = scene.laidOut.value;
  const drawing = laidOut && store.drawing.value;
  const shown = laidOut?.shown.boxes.length ?? 0;
  return (
    <div class={wide.value ? 'graph graph-wide' : 'graph'} ref={frame}>
      <div class="graph-tools">
        {drawing && <Search drawing={drawing} show={(box) => hands.current?.show(box)} />}
        <div class="graph-buttons">
          <Tool
            label={text.graph.less}
            sign="⊟"
            disabled={scene.level.value <= 0}
            press={() => scene.setLevel(scene.level.value - 1)}
          />
          <Tool
            label={text.graph.moreDetail}
            sign="⊞"
            disabled={scene.level.value >= scene.allLevels.value.length - 1}
            press={() => scene.setLevel(scene.level.value + 1)}
          />
          <Tool label={text.graph.zoomOut} sign="−" press={() => hands.current?.zoom(1 / ZOOM_STEP)} />
          <Tool label={text.graph.zoomIn} sign="+" press={() => hands.current?.zoom(ZOOM_STEP)} />
          <Tool label={text.graph.fit} sign="⤢" press={() => hands.current?.fit()} />
          <button type="button" class="button small" aria-pressed={wide.value} onClick={() => (wide.value = !wide.value)}>
            {wide.value ? text.graph.smaller : text.graph.larger}
          </button>
        </div>
      </div>
      <Canvas hands={hands} wide={wide.value}>
        {scene.hovered.value && scene.valueAt(scene.hovered.value) && (
          <div class="graph-hover">
            <ChannelMap value={scene.valueAt(scene.hovered.value)} />
          </div>
        )}
      </Canvas>
      <Legend />
      <Segmented<scene.Labels>
        label={text.seeing.graph.widths}
        name="graph-widths"
        value={scene.widths.value}
        options={text.seeing.graph.width}
        change={(value) => (scene.widths.value = value)}
      />
      {drawing && (
        <>
          <p class="hint">
            {text.graph.boxes(shown, drawing.nodes.length)}. {text.graph.lead} {text.seeing.graph.keys}
          </p>
          <div class="actions">
            <button type="button" class="button small" onClick={() => go(-1)}>
              {text.seeing.graph.previous}
            </button>
            <button type="button" class="button small" onClick={() => go(1)}>
              {text.seeing.graph.next}
            </button>
          </div>
          <Details drawing={drawing} />
        </>
      )}
    </div>
  );
}

/** The model as a drawing. */
export function GraphPanel() {
  return <Panel name="graph" title={text.graph.title}>{() => <Graph />}</Panel>;
}

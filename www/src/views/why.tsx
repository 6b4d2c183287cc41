import { useSignal } from '@preact/signals';
import { askWhy } from '../actions/views.js';
import { walk } from '../graph/scene.js';
import type { Link, Place } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Panel } from './panel.js';
import { Told } from './told.js';

const place = ({ value, axis }: Place): string => `${value}[${axis}]`;

function Chain(props: { links: readonly Link[] }) {
  if (props.links.length === 0) return null;
  return (
    <ol class="links">
      {props.links.map((link, index) => (
        <li key={index}>
          <code>{place(link.from)}</code> {text.why.meets} <code>{place(link.to)}</code> {text.why.at} <b>{link.op}</b>{' '}
          <code class="quiet-text">{link.node}</code>
        </li>
      ))}
    </ol>
  );
}

type Answer = Awaited<ReturnType<typeof askWhy>>;

function Answered(props: { answer: Answer }) {
  const { answer } = props;
  if (answer.kind === 'none') {
    return (
      <p class="problem" role="alert">
        <Told message={answer.message} />
      </p>
    );
  }
  if (answer.kind === 'two') {
    const { channels, pinned, chain } = answer.coupling;
    const words = channels === 0 ? text.why.apart : pinned ? text.why.whole(channels) : text.why.together(channels);
    return (
      <>
        <p>{words}</p>
        <Chain links={chain} />
      </>
    );
  }
  return (
    <>
      {answer.told.map((told) => (
        <div key={place(told.place)} class="told">
          <p>
            {text.why.told(place(told.place), told.pinned, told.length)}{' '}
            {told.groups.length > 0 && text.why.groups(told.groups)}
          </p>
          {told.reasons.map((reason, index) => (
            <div key={index}>
              <p>
                {text.why.because(place(reason.at))} <Told message={reason.why} remedy={reason.what_to_do} begins={false} />
              </p>
              <Chain links={reason.chain} />
            </div>
          ))}
        </div>
      ))}
    </>
  );
}

const NAMES = 'names-of-groups';

function Ask() {
  const groups = store.model.value?.groups ?? [];
  const [first, second] = groups.flatMap((group) => [...group.producers.slice(0, 1), ...group.producers.slice(-1)]);
  const a = useSignal(first ?? '');
  const b = useSignal(second ?? '');
  const answer = useSignal<Answer | undefined>(undefined);
  const ask = async (): Promise<void> => {
    const found = await askWhy(a.value.trim(), b.value.trim());
    answer.value = found;
    if (found.kind === 'two') walk(found.coupling.chain);
    if (found.kind === 'one') walk(found.told.flatMap((told) => told.reasons.flatMap((reason) => reason.chain)));
  };
  const names = new Set(groups.flatMap((group) => [group.name, ...group.producers, ...group.consumers]));
  return (
    <form
      class="why"
      onSubmit={(event) => {
        event.preventDefault();
        void ask();
      }}
    >
      <p class="hint">{text.why.lead}</p>
      <datalist id={NAMES}>
        {[...names].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <div class="fields">
        {([['a', a], ['b', b]] as const).map(([key, value]) => (
          <label key={key} class="field field-wide">
            <span class="field-label">{text.why[key]}</span>
            <input
              type="text"
              list={NAMES}
              spellcheck={false}
              value={value.value}
              onInput={(event) => (value.value = event.currentTarget.value)}
            />
          </label>
        ))}
        <button type="submit" class="button" disabled={store.busy.value || a.value.trim() === ''}>
          {text.why.ask}
        </button>
      </div>
      <div class="why-answer" aria-live="polite">
        {answer.value && <Answered answer={answer.value} />}
      </div>
    </form>
  );
}

/** Why channels belong together, or stay. */
export function WhyPanel() {
  return <Panel name="why" title={text.why.title}>{() => <Ask />}</Panel>;
}

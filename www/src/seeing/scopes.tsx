import { client } from '../actions/session.js';
import * as format from '../format.js';
import type { Estimate, Scope } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { told } from '../views/told.js';
import { shownPlan, useAnswer } from './answer.js';

const SCOPES: readonly Scope[] = ['group', 'isomorphic', 'global'];

interface Column {
  scope: Scope;
  estimate: Estimate | undefined;
  /** Why there is no such plan. */
  why: string | undefined;
}

const sentence = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

function Bars(props: { columns: readonly Column[] }) {
  const words = text.seeing.scopes;
  const { columns } = props;
  const names = columns.find(({ estimate }) => estimate)?.estimate?.groups ?? [];
  return (
    <ul class="scopes">
      {names.map(({ name, channels }) => (
        <li key={name}>
          <code>{name}</code>
          <div class="scope-bars">
            {columns.map(({ scope, estimate }) => {
              const kept = estimate?.groups.find((group) => group.name === name)?.kept;
              if (kept === undefined) return <span key={scope} class="scope-bar" />;
              const share = (kept / Math.max(1, channels)) * 100;
              const label = words.bar(words.scopes[scope], channels - kept, channels);
              return (
                <span key={scope} class="scope-bar">
                  <svg width="100%" height="10" role="img" aria-label={label}>
                    <title>{label}</title>
                    <rect class="bar-gone-solid" width="100%" height="10" />
                    <rect class={`scope-${scope}`} width={`${share}%`} height="10" />
                  </svg>
                  <span aria-hidden="true">
                    {channels} {'\u2192'} {kept}
                  </span>
                </span>
              );
            })}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** One target, three ways of comparing channels. */
export function ScopesView() {
  const words = text.seeing.scopes;
  const { plan, why, key } = shownPlan();
  const { value } = useAnswer(
    [store.model.value, key],
    plan &&
      (async () => {
        const columns: Column[] = [];
        for (const scope of SCOPES) {
          const asked = client.call('plan', { ...plan, scope });
          columns.push(
            await asked.then(
              (estimate) => ({ scope, estimate, why: undefined }),
              (thrown: unknown) => ({ scope, estimate: undefined, why: sentence(thrown) }),
            ),
          );
        }
        return columns;
      }),
  );
  const change = (column: Column, what: 'macs' | 'parameters'): string => {
    const own = column.estimate?.[what];
    return own ? `${format.count(own.after)} (${format.changeOf(own.before, own.after)})` : '\u2013';
  };
  return (
    <>
      <p class="hint">{words.lead}</p>
      {!plan && <p class="needs">{why}</p>}
      {plan && !value && <p class="hint">{text.seeing.working}</p>}
      {plan && value && (
        <>
          {value.map(
            ({ scope, why: reason }) =>
              reason && (
                <p key={scope} class="problem">
                  {words.failed(words.scopes[scope], told(reason, false).join(' '))}
                </p>
              ),
          )}
          <div class="table-room" tabIndex={0} role="region" aria-label={words.title}>
            <table class="table">
              <caption class="hidden">{words.title}</caption>
              <thead>
                <tr>
                  <td />
                  {value.map(({ scope }) => (
                    <th key={scope} scope="col">
                      <svg class="scope-key" width="10" height="10" aria-hidden="true">
                        <rect class={`scope-${scope}`} width="10" height="10" />
                      </svg>
                      {words.scopes[scope]}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {(['macs', 'parameters'] as const).map((what) => (
                  <tr key={what}>
                    <th scope="row">{what === 'macs' ? words.total : words.params}</th>
                    {value.map((column) => (
                      <td key={column.scope}>{change(column, what)}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <Bars columns={value} />
        </>
      )}
    </>
  );
}

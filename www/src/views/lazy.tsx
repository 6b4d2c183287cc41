import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { fetchViews } from '../lazy.js';
import { text } from '../strings.js';
import { Panel } from './panel.js';

type Views = Awaited<ReturnType<typeof fetchViews>>['views'];
export type ViewName = keyof Views;

function Body(props: { view: ViewName }) {
  const views = useSignal<Views | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    fetchViews().then(
      (fetched) => (views.value = fetched.views),
      () => (problem.value = text.errors.workerScript),
    );
  }, []);
  if (problem.value) return <p class="problem">{problem.value}</p>;
  const View = views.value?.[props.view];
  return View ? <View /> : <p class="hint">{text.seeing.working}</p>;
}

/** A fold-out whose view comes with the page's second part. */
export function LazyPanel(props: { view: ViewName }) {
  return (
    <Panel name={props.view} title={text.seeing[props.view].title}>
      {() => <Body view={props.view} />}
    </Panel>
  );
}

import type { ComponentChildren } from 'preact';
import * as format from '../format.js';
import type { Port } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Step } from './step.js';
import { Told } from './told.js';

function Fact(props: { name: string; title?: string; children: ComponentChildren }) {
  return (
    <div class="fact" title={props.title}>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

function Ports(props: { ports: Port[] }) {
  return (
    <>
      {props.ports.map((port) => (
        <span key={port.name} class="port">
          <code>{port.name}</code> {format.shape(port.shape)} <span class="quiet-text">{port.dtype}</span>
        </span>
      ))}
    </>
  );
}

export function ModelStep() {
  const opened = store.model.value;
  if (!opened) return null;
  const { summary } = opened;
  return (
    <Step id="model" state="done" note={<code class="file-name">{summary.name}</code>}>
      <dl class="facts">
        <Fact name={text.model.parameters} title={format.exactly(summary.parameters)}>
          <b class="figure">{format.count(summary.parameters)}</b>
        </Fact>
        <Fact name={text.model.macs} title={`${text.model.macsMore}: ${format.exactly(summary.macs)}`}>
          <b class="figure">{format.count(summary.macs)}</b>
        </Fact>
        <Fact name={text.model.size} title={text.units.bytes(format.exactly(summary.bytes))}>
          <b class="figure">{format.bytes(summary.bytes)}</b>
        </Fact>
        <Fact name={text.model.nodes}>
          <b class="figure">{format.exactly(summary.nodes)}</b>
        </Fact>
      </dl>
      <dl class="facts facts-wide">
        <Fact name={text.model.input}>
          <Ports ports={summary.inputs} />
        </Fact>
        <Fact name={text.model.output}>
          <Ports ports={summary.outputs} />
        </Fact>
        <Fact name={text.model.opset}>{summary.opset}</Fact>
      </dl>
      {summary.unsupported.length > 0 && (
        <details class="more">
          <summary>{text.model.unsupported(summary.unsupported.length)}</summary>
          <ul class="reasons">
            {summary.unsupported.map((node) => (
              <li key={node.node}>
                <code>{node.node}</code> <b>{node.op}</b> <Told message={node.why} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </Step>
  );
}

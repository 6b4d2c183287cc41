/** The report as a page of its own: one file, no script, nothing fetched. */

import base from '../../styles/base.css?inline';
import style from '../../styles/report.css?inline';
import * as format from '../format.js';
import type { CutSummary, DeviceInfo, Drawing, Evaluation, Group, GroupScores, Layout, OpenedModel, StageSummary } from '../protocol.js';
import type { LossPoint } from '../store.js';
import { TAGS, language, text } from '../strings.js';
import { type Markup, Markup as Made, NOTHING, html } from './html.js';
import * as pictures from './pictures.js';
import type { Shown } from '../graph/boxes.js';

/** Everything that the report tells of. */
export interface Told {
  model: OpenedModel;
  cut: CutSummary;
  evaluations: readonly (readonly [name: string, evaluation: Evaluation])[];
  stages: readonly StageSummary[];
  before: number | null;
  points: readonly LossPoint[];
  scores: readonly GroupScores[];
  drawn: { drawing: Drawing; shown: Shown; layout: Layout } | undefined;
  recipe: string;
  command: string;
  version: string;
  device: DeviceInfo | undefined;
}

const row = (cells: readonly (string | Markup)[]): Markup => {
  const [first = '', ...others] = cells;
  return html`<tr><th scope="row">${first}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>`;
};

const table = (caption: string, head: readonly string[], rows: readonly Markup[]): Markup =>
  html`<div class="room"><table><caption>${caption}</caption><thead><tr>${head.map((cell) => (cell === '' ? html`<td></td>` : html`<th scope="col">${cell}</th>`))}</tr></thead>
    <tbody>${rows}</tbody></table></div>`;

const points = (before: number | null, after: number | null): string =>
  before === null || after === null ? '' : format.pointsOf(before, after);

function sizes({ cut, evaluations }: Told): Markup {
  const [first, last] = [evaluations[0]?.[1], evaluations.length > 1 ? evaluations.at(-1)?.[1] : undefined];
  const measured =
    first && last
      ? [
          row([text.card.accuracy, format.right(first.top1), format.right(last.top1), points(first.top1, last.top1)]),
          row([
            text.card.time,
            format.milliseconds(first.milliseconds_per_image),
            format.milliseconds(last.milliseconds_per_image),
            format.timesFaster(first.milliseconds_per_image, last.milliseconds_per_image),
          ]),
        ]
      : [];
  const lines = [
    [text.card.macs, cut.macs, format.count],
    [text.card.parameters, cut.parameters, format.count],
    [text.card.bytes, cut.bytes, format.bytes],
  ] as const;
  return table(text.report.sizes, ['', text.card.before, text.card.after, text.report.change], [
    ...measured,
    ...lines.map(([name, { before, after }, show]) => row([name, show(before), show(after), format.changeOf(before, after)])),
  ]);
}

function accuracy({ evaluations, stages, before, points }: Told): Markup {
  if (evaluations.length === 0) return html`<p>${text.report.notEvaluated}</p>`;
  const validated = [
    ...(before === null ? [] : [row([text.recover.before, format.percent(before, 1)])]),
    ...stages.map(({ stage, validation_top1 }) =>
      row([text.recover.stages[stage][0], validation_top1 === null ? text.recover.unknown : format.percent(validation_top1, 1)]),
    ),
  ];
  return html`${table(
    text.report.tested,
    ['', text.evaluate.top1, text.evaluate.loss, text.evaluate.images],
    evaluations.map(([name, { top1, loss, images }]) => row([name, format.right(top1), format.fixed(loss, 3), format.exactly(images)])),
  )}${validated.length > 0 ? table(text.recover.table, ['', text.evaluate.top1], validated) : NOTHING}${
    points.length > 1 ? html`<figure>${pictures.curve(points)}<figcaption>${text.report.curve}</figcaption></figure>` : NOTHING
  }`;
}

function groups({ model, cut }: Told): Markup {
  const widest = Math.max(1, ...cut.groups.map(({ channels }) => channels));
  const known = new Map(model.groups.map((group): [string, Group] => [group.name, group]));
  const rows = cut.groups.map(({ name, channels, kept }) =>
    row([
      html`<code>${name}</code>`,
      pictures.bar(kept, channels, widest),
      String(channels),
      String(kept),
      html`<code>${known.get(name)?.producers.join(', ') ?? ''}</code>`,
    ]),
  );
  return table(text.report.groups, ['', '', text.card.before, text.card.after, text.groups.producers], rows);
}

function histograms({ scores, cut }: Told): Markup {
  const gone = new Map(cut.groups.map(({ name, channels, kept }) => [name, channels - kept]));
  const figures = scores.map(
    (group) =>
      html`<figure>${pictures.histogram(group, gone.get(group.name) ?? 0)}<figcaption><code>${group.name}</code> ${gone.get(group.name) ?? 0} / ${group.scores.length}</figcaption></figure>`,
  );
  return html`<p>${text.report.histograms}</p><div class="histograms">${figures}</div>`;
}

function graph({ drawn, model, cut }: Told): Markup {
  if (!drawn) return NOTHING;
  const kept = new Map(cut.groups.map((group) => [group.name, group.kept]));
  const widths = model.groups.map(({ name, channels }) => ({ all: channels, left: kept.get(name) ?? channels }));
  return html`<h2>${text.report.graph}</h2><p>${text.report.graphMore}</p>
    <div class="room graph" tabindex="0" role="region" aria-label="${text.report.graph}">${pictures.graph(drawn.shown, drawn.layout, drawn.drawing, widths)}</div>`;
}

function proof({ exact, max_error, tolerance, renormalised, not_proved, device }: CutSummary): Markup {
  if (max_error === null) return html`<p>${text.proof.notRun} ${text.said(not_proved ?? '')}</p>`;
  const verdict = !exact ? text.proof.close : max_error <= tolerance ? text.proof.passed : text.proof.failed;
  const statistics = html`<p>${text.proof.renormalised} <code>${renormalised.join(', ')}</code></p>`;
  return html`<p><b>${verdict}</b></p>
    <p>${text.proof.how} ${format.scientific(max_error)} (${text.proof.limit} ${format.scientific(tolerance)}). ${device}</p>
    ${renormalised.length > 0 ? statistics : NOTHING}`;
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

export function page(told: Told, now: Date): string {
  const { summary } = told.model;
  const tag = TAGS[language.value];
  const date = new Intl.DateTimeFormat(tag, { dateStyle: 'long', timeStyle: 'short' }).format(now);
  const title = text.report.title(summary.name);
  const versions = [
    ['Lopper', told.version],
    [text.header.device, told.device?.name ?? ''],
    [text.model.opset, String(summary.opset)],
    [text.model.nodes, format.exactly(summary.nodes)],
  ] as const;
  const body = html`<!doctype html>
<html lang="${tag}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Made(base + style)}</style>
</head>
<body><main>
<header><h1>${title}</h1><p>${text.report.made(date)}</p></header>
<h2>${text.report.result}</h2>${sizes(told)}
<h2>${text.report.accuracy}</h2>${accuracy(told)}
<h2>${text.steps.groups.title}</h2>${groups(told)}
<h2>${text.report.scores}</h2>${histograms(told)}
${graph(told)}
<h2>${text.steps.proof.title}</h2>${proof(told.cut)}
<h2>${text.report.recipe}</h2><p>${text.report.recipeMore}</p>
<pre tabindex="0"><code>${told.command}</code></pre>
<pre tabindex="0"><code>${told.recipe}</code></pre>
<h2>${text.report.versions}</h2>
<dl>${versions.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
<footer><p>${text.report.alone}</p></footer>
</main></body>
</html>
`;
  return body.text;
}

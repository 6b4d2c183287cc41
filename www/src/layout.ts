/** Places boxes in layers, from top to bottom, in the worker: dagre's work, where there are not too many. */

import { Graph, layout as place } from '@dagrejs/dagre';
import { layered } from './layered.js';
import type { Boxes, Layout } from './protocol.js';

/** More boxes than this take dagre seconds, and a long chain of them more stack than there is. */
const MANY = 300;

export function layout(boxes: Boxes): Layout {
  const { sizes, arrows } = boxes;
  if (sizes.length > MANY) return layered(boxes);
  const graph = new Graph({ directed: true, multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 30, edgesep: 12, marginx: 24, marginy: 24, ranker: 'network-simplex' });
  sizes.forEach(([width, height], box) => graph.setNode(String(box), { width, height }));
  arrows.forEach(([from, to], arrow) => graph.setEdge(String(from), String(to), {}, String(arrow)));
  place(graph);
  const whole = graph.graph() as { width?: number; height?: number };
  return {
    width: whole.width ?? 0,
    height: whole.height ?? 0,
    boxes: sizes.map((_, box) => {
      const { x, y } = graph.node(String(box)) as { x: number; y: number };
      return [x, y];
    }),
    arrows: arrows.map(([from, to], arrow) => {
      const edge = graph.edge(String(from), String(to), String(arrow)) as { points?: { x: number; y: number }[] };
      return (edge.points ?? []).map(({ x, y }): [number, number] => [x, y]);
    }),
  };
}

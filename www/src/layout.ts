/** Places boxes in layers, from top to bottom: dagre's work, in the worker. */

import { Graph, layout as place } from '@dagrejs/dagre';
import type { Boxes, Layout } from './protocol.js';

/** Above this many boxes the exact way to rank them takes seconds. */
const MANY = 300;

export function layout({ sizes, arrows }: Boxes): Layout {
  const graph = new Graph({ directed: true, multigraph: true });
  const ranker = sizes.length > MANY ? 'longest-path' : 'network-simplex';
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 30, edgesep: 12, marginx: 24, marginy: 24, ranker });
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

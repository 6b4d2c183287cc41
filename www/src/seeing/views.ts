/** The views that show what is inside a model and what a cut changed: one chunk, fetched behind the first paint. */

import '../../styles/seeing.css';
import { AgreementView } from './agreement.js';
import { CompareView } from './compare.js';
import { LatencyView } from './latency.js';
import { LayerView } from './layer.js';
import { ScopesView } from './scopes.js';

export const views = {
  agreement: AgreementView,
  compare: CompareView,
  latency: LatencyView,
  layer: LayerView,
  scopes: ScopesView,
};

import { render } from 'preact';
import '../styles/base.css';
import '../styles/controls.css';
import '../styles/landing.css';
import '../styles/layout.css';
import '../styles/steps.css';
import '../styles/tour.css';
import '../styles/views.css';
import { followKept, lookForKept } from './actions/kept.js';
import { followSettings } from './actions/model.js';
import { workOffline } from './actions/offline.js';
import { followAddress, keepAddress } from './actions/recipe.js';
import { boot } from './actions/session.js';
import { listenForUndo } from './actions/settings.js';
import { startLanguage } from './strings.js';
import { followTitle } from './actions/tell.js';
import { followTour } from './tour/state.js';
import { App } from './views/app.js';

const host = document.getElementById('app');
if (host) {
  await startLanguage();
  render(<App />, host);
  followSettings();
  keepAddress();
  listenForUndo();
  followTour();
  void workOffline();
  followTitle();
  followKept();
  void lookForKept();
  void boot().then(() => followAddress());
}

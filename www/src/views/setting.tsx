import { set } from '../actions/settings.js';
import * as store from '../store.js';
import { NumberField } from './controls.js';

/** Settings that are numbers. */
type Numeric = {
  [K in keyof store.Settings]-?: store.Settings[K] extends number | null ? K : never;
}[keyof store.Settings];

/** A number among the settings; `hundred` shows a share as percents. */
export function SettingField(props: {
  of: Numeric;
  label: string;
  unit?: string;
  min: number;
  max?: number;
  step?: number | 'any';
  hundred?: boolean;
}) {
  const { of, hundred, ...rest } = props;
  const value = store.settings.value[of];
  return (
    <NumberField
      {...rest}
      value={value !== null && hundred ? Math.round(value * 1000) / 10 : value}
      optional={store.DEFAULTS[of] === null}
      disabled={store.busy.value}
      change={(next) => set({ [of]: next !== null && hundred ? next / 100 : next })}
    />
  );
}

/** The criteria by what they look at; the core knows the rest. */

export const CRITERIA = {
  weights: [
    'l1',
    'l2',
    'lp',
    'linf',
    'bn_scale',
    'fpgm_l2',
    'fpgm_l1',
    'fpgm_cosine',
    'fpgm_mixed',
    'lamp',
    'group_norm',
    'random',
  ],
  images: ['activation_mean_abs', 'apoz', 'wanda_structured', 'hrank'],
  labels: [
    'weight_taylor_abs',
    'weight_taylor_signed',
    'weight_taylor_sq',
    'activation_taylor',
    'activation_taylor_mean',
    'gate_taylor_sq',
    'gate_taylor_sq_per_image',
    'gbn_abs',
    'fisher_obd',
  ],
} as const;

export type Needs = keyof typeof CRITERIA;
export type CriterionName = (typeof CRITERIA)[Needs][number];

/** What beside weights a criterion looks at, a mixture as its neediest term. */
export function needsOf(criterion: string): Needs {
  const names = criterion.split(',').map((term) => term.trim().replace(/[(:].*$/, ''));
  const among = (list: readonly string[]): boolean => names.some((name) => list.includes(name));
  return among(CRITERIA.labels) ? 'labels' : among(CRITERIA.images) ? 'images' : 'weights';
}

const NUMBERS = { lp: 2, fpgm_mixed: 0.1 } as const;
type Numbered = keyof typeof NUMBERS;
const isNumbered = (name: string): name is Numbered => name in NUMBERS;

/** A single criterion's name and its number, if it has one; `undefined` for a mixture. */
export function single(criterion: string): { name: CriterionName; number: number | null } | undefined {
  const found = /^(\w+)(?:\(([^)]*)\))?$/.exec(criterion);
  const name = Object.values(CRITERIA)
    .flat()
    .find((known) => known === found?.[1]);
  if (!name) return undefined;
  return { name, number: isNumbered(name) ? Number(found?.[2] ?? NUMBERS[name]) : null };
}

/** The text of a criterion with its number, if it has one. */
export function written(name: CriterionName, number?: number): string {
  return isNumbered(name) ? `${name}(${number ?? NUMBERS[name]})` : name;
}

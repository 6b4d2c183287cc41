/** Classes of cells that are coloured by a share from -1 to 1. */

const LEVELS = 8;

/** `heat-3` for good, `heat-bad-3` for bad; nothing for what is near 0. */
export function heat(share: number): string {
  const level = Math.min(LEVELS, Math.round(Math.abs(share) * LEVELS));
  if (level === 0) return 'heat';
  return `heat heat-${share < 0 ? 'bad-' : ''}${level}`;
}

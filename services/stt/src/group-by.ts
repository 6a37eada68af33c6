/** Things in groups, in the order in which the groups first come up. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => unknown): T[][] {
  return [...Map.groupBy(items, keyOf).values()]
}

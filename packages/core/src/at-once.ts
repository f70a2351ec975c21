/** Several durable writes at once: those that wait together are synced together, and nobody waits for the sum of all. */

/** Fewer than a store has time for while somebody waits; more gain little. */
const AT_ONCE = 16

/**
 * Does `each` for all of them, a few at once. Where some fail, the others are done all the same.
 *
 * @throws unknown what the first of those that failed threw, when all have ended
 */
export async function fewAtOnce<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  each: (item: Item) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = []
  const left = iterate(items)
  const worker = async (): Promise<void> => {
    for await (const item of left) await each(item).catch((error: unknown) => void failures.push(error))
  }
  // A source that fails ends one of them; whoever comes back from here finds nothing under way.
  const ended = Array.from({ length: AT_ONCE }, () => worker().catch((error: unknown) => void failures.push(error)))
  await Promise.all(ended)
  if (failures.length > 0) throw failures[0]
}

/** All who go through it share it: each takes the next that nobody has taken. */
function iterate<Item>(items: AsyncIterable<Item> | Iterable<Item>): AsyncIterable<Item> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  return { [Symbol.asyncIterator]: () => ({ next: async () => iterator.next() }) }
}

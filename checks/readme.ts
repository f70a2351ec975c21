import { readFile } from 'node:fs/promises'

/** The first TypeScript block of the README: what a user copies. */
export async function tenLines(): Promise<string> {
  const text = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const block = /```ts\n(.*?)```/s.exec(text)?.[1]
  if (block === undefined) throw new Error('the README has no TypeScript block')
  return block
}

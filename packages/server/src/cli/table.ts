import { printable } from './printable.ts'

/** Colours a text that is printable already, without changing its width. */
export type Paint = (text: string) => string
export type Cell = string | { readonly text: string; readonly paint: Paint }

/**
 * Rows as aligned lines, two blanks between columns.
 *
 * @param head painted by `paintHead`; every cell is made printable here, so nobody has to remember to
 */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], paintHead: Paint): string[] {
  const all = [head.map((text) => ({ text, paint: paintHead })), ...rows.map((row) => row.map(settled))]
  return aligned(all)
}

/** Names and values, one pair a line. */
export function pairs(entries: readonly (readonly [string, Cell])[], paintName: Paint): string[] {
  return aligned(entries.map(([text, value]) => [{ text, paint: paintName }, settled(value)]))
}

interface SettledCell {
  readonly text: string
  readonly paint: Paint
}

const plain: Paint = (text) => text

function settled(cell: Cell): SettledCell {
  const { text, paint } = typeof cell === 'string' ? { text: cell, paint: plain } : cell
  return { text: printable(text), paint }
}

function aligned(rows: readonly (readonly SettledCell[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, { text }] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, Array.from(text).length)
  }
  return rows.map((row) =>
    row
      .map(({ text, paint }, column) => {
        // Nothing is filled up behind the last column, so that lines have no blanks at their end.
        const filling = column === row.length - 1 ? 0 : (widths[column] ?? 0) - Array.from(text).length
        return paint(text) + ' '.repeat(filling)
      })
      .join('  ')
      .trimEnd(),
  )
}

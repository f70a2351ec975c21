import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { tenLines } from './readme.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

test("the README's ten lines run as they stand, and print offers fetched with a token that works", async () => {
  // Inside the clone, so that the names of its packages are found.
  const folder = await mkdtemp(join(root, '.readme-'))
  try {
    await writeFile(join(folder, 'ten-lines.ts'), await tenLines())
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning', 'ten-lines.ts'],
      { cwd: folder, timeout: 30_000, env: { ...process.env, XDG_CONFIG_HOME: join(folder, 'config') } },
    )
    assert.match(stdout, /^Bearer .+ 200 \{/s)
    assert.equal(stderr, '')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('every file that the README links to is there', async () => {
  const text = await readFile(join(root, 'README.md'), 'utf8')
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, link]) => link ?? '')
  assert.ok(links.length > 5)
  for (const link of links)
    await assert.doesNotReject(
      import('node:fs/promises').then(({ stat }) => stat(join(root, link))),
      link,
    )
})

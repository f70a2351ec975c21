import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { tenLines } from './readme.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const PACKAGES = ['core', 'node', 'devserver', 'server']

test('packed, installed into an empty folder and used from there, the ten lines run, and so does the command', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-installed-'))
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  }
  const npm = (args: readonly string[], cwd: string) => run('npm', args, { cwd, env, timeout: 120_000 })
  try {
    await run(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, timeout: 120_000 })
    await npm(
      ['pack', '--silent', '--pack-destination', folder, ...PACKAGES.map((name) => `--workspace=packages/${name}`)],
      root,
    )
    const tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => `./${name}`)
    assert.equal(tarballs.length, PACKAGES.length)
    await writeFile(
      join(folder, 'package.json'),
      '{ "name": "somebody-elses-project", "private": true, "type": "module" }',
    )
    await npm(['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs], folder)

    await writeFile(join(folder, 'ten-lines.ts'), await tenLines())
    const { stdout } = await run(process.execPath, ['ten-lines.ts'], { cwd: folder, env, timeout: 30_000 })
    assert.match(stdout, /^Bearer .+ 200 \{/s)

    const command = join(folder, 'node_modules', '.bin', 'tokenkeep')
    const version = await run(command, ['--version'], { cwd: folder, env, timeout: 30_000 })
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
    assert.equal(version.stderr, '')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

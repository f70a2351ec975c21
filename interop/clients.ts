/** The unmodified clients: how each is fetched by its own package manager, and started. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { run, type Program } from './fleet.ts'
import { bringPackage } from './npm-packages.ts'

export interface InteropClient {
  /** As in `--only`, and in the table. */
  readonly name: string
  /** Programs of the machine that it cannot do without. */
  readonly needs: readonly string[]
  /** Fetches and builds what is not there yet. */
  readonly prepare: (cache: string) => Promise<Prepared>
}

export interface Prepared {
  readonly program: Program
  /** With the name: `openid-client 6.9.0`. */
  readonly version: string
}

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const curl: InteropClient = {
  name: 'curl',
  needs: ['curl'],
  async prepare() {
    const { stdout } = spawnSync('curl', ['--version'], { encoding: 'utf8' })
    const version = stdout.split(' ').slice(0, 2).join(' ')
    return { version, program: { command: 'sh', args: [fileOf('clients/curl/client.sh')] } }
  },
}

const ofNpm = (name: string, package_: string, script: string): InteropClient => ({
  name,
  needs: [],
  async prepare() {
    const version = await bringPackage(package_)
    return {
      version: `${package_} ${version}, Node ${process.versions.node}`,
      program: { command: process.execPath, args: [fileOf(script)] },
    }
  },
})

const authlib: InteropClient = {
  name: 'authlib',
  needs: ['python3'],
  async prepare(cache) {
    const requirements = fileOf('clients/authlib/requirements.txt')
    const wanted = await readFile(requirements, 'utf8')
    const [version = ''] = wanted.split('\n')
    const home = join(cache, version.replace('==', '-'))
    const python = join(home, 'bin', 'python')
    const installed = join(home, 'installed')
    if (!existsSync(installed)) {
      await rm(home, { recursive: true, force: true })
      await run({ command: 'python3', args: ['-m', 'venv', home] })
      await run({ command: python, args: ['-m', 'pip', 'install', '--quiet', '--requirement', requirements] })
      await mkdir(installed)
    }
    const { stdout } = spawnSync(python, ['--version'], { encoding: 'utf8' })
    return {
      version: `${version.replace('==', ' ')}, ${stdout.trim()}`,
      program: { command: python, args: [fileOf('clients/authlib/client.py')] },
    }
  },
}

const go: InteropClient = {
  name: 'x-oauth2',
  needs: ['go'],
  async prepare(cache) {
    const cwd = fileOf('clients/go')
    const binary = join(cache, 'go-client')
    await run({ command: 'go', args: ['build', '-o', binary, '.'], cwd })
    const [, version = ''] = /oauth2 v(\S+)/.exec(await readFile(join(cwd, 'go.mod'), 'utf8')) ?? []
    const { stdout } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' })
    return {
      version: `golang.org/x/oauth2 ${version}, Go ${stdout.trim().replace('go', '')}`,
      program: { command: binary, args: [] },
    }
  },
}

const java: InteropClient = {
  name: 'nimbus',
  needs: ['java', 'mvn'],
  async prepare(cache) {
    const cwd = fileOf('clients/java')
    const folder = join(cache, 'java-client')
    const classpath = join(folder, 'classpath')
    const goals = ['compile', 'dependency:build-classpath', `-Dmdep.outputFile=${classpath}`, `-Dfolder=${folder}`]
    await mkdir(folder, { recursive: true })
    await run({ command: 'mvn', args: ['-q', '-B', ...goals], cwd })
    const [, version = ''] =
      /oauth2-oidc-sdk<\/artifactId>\s*<version>([^<]+)/.exec(await readFile(join(cwd, 'pom.xml'), 'utf8')) ?? []
    const path = [join(folder, 'classes'), (await readFile(classpath, 'utf8')).trim()].join(delimiter)
    return {
      version: `oauth2-oidc-sdk ${version} (Nimbus), Java ${javaVersion()}`,
      // Eight of them start at once.
      program: { command: 'java', args: ['-Xmx64m', '-XX:TieredStopAtLevel=1', '-cp', path, 'Client'] },
    }
  },
}

export const CLIENTS: readonly InteropClient[] = [
  curl,
  ofNpm('openid-client', 'openid-client', 'clients/openid-client/client.mjs'),
  ofNpm('mcp-sdk', '@modelcontextprotocol/sdk', 'clients/mcp-sdk/client.mjs'),
  authlib,
  go,
  java,
]

/** @returns `17.0.15` */
export function javaVersion(): string {
  const { stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  return /version "([^"]+)"/.exec(stderr)?.[1] ?? 'unknown'
}

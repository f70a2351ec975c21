/** The web page: files that were built once, read once, and asked for without a key. They hold nothing that is anybody's. */
import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { HttpProblem } from '../problem.ts'

/** From the sources and from what is built alike. `scripts/page.mjs` writes it. */
const FOLDER = new URL('../../../page/', import.meta.url)

/** No script that is not a file of ours, no text that is taken for markup, nothing from elsewhere, no frame around it. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
} as const

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

interface PageFile {
  readonly type: string
  readonly plain: Buffer
  readonly gzip: Buffer | null
}

export function registerPage(
  app: FastifyInstance,
  { metrics, pressure }: { readonly metrics: Metrics; readonly pressure: Pressure },
): void {
  let files: ReadonlyMap<string, PageFile> | null = null
  const fileOf = (name: string): PageFile | undefined => (files ??= readPage()).get(name)

  const send = (file: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const zipped = file.gzip !== null && takesGzip(request.headers['accept-encoding'])
    const bytes = zipped ? file.gzip : file.plain
    if (zipped) reply.header('content-encoding', 'gzip')
    reply.headers({ ...HEADERS, 'content-type': file.type, 'content-length': bytes.length, vary: 'accept-encoding' })
    return request.method === 'HEAD' ? reply.send('') : reply.send(bytes)
  }

  app.route({
    method: ['GET', 'HEAD'],
    url: '/',
    config: { operation: 'page' },
    handler: async (request, reply) => {
      pressure.check()
      // The router takes the whole server, which OPTIONS may ask about, for its root (RFC 9112 section 3.2.4).
      if (request.raw.url === '*') throw new HttpProblem('unknown_route', 'there is nothing at this path.')
      const file = fileOf('index.html')
      if (file === undefined) throw notBuilt()
      metrics.answered('page', 200)
      // Its assets are named by what is in them; it says which ones are the newest.
      return send(file, request, reply.header('cache-control', 'no-cache'))
    },
  })

  app.route({
    method: ['GET', 'HEAD'],
    url: '/assets/:file',
    config: { operation: 'pageAsset' },
    handler: async (request, reply) => {
      const { file: name } = request.params as { file: string }
      const file = fileOf(`assets/${name}`)
      if (file === undefined) throw new HttpProblem('unknown_route', 'the page has no such file: load it again.')
      metrics.answered('pageAsset', 200)
      return send(file, request, reply.header('cache-control', 'public, max-age=31536000, immutable'))
    },
  })
}

function readPage(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of namesIn('')) files.set(name, read(name))
  for (const name of namesIn('assets/')) files.set(name, read(name))
  return files
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(new URL(folder, FOLDER))
      .filter((name) => extname(name) in TYPES)
      .map((name) => `${folder}${name}`)
  } catch {
    return []
  }
}

function read(name: string): PageFile {
  const plain = readFileSync(new URL(name, FOLDER))
  let gzip: Buffer | null = null
  try {
    gzip = readFileSync(new URL(`${name}.gz`, FOLDER))
  } catch {
    // Too small to be worth it.
  }
  return { type: TYPES[extname(name)] ?? 'application/octet-stream', plain, gzip }
}

const takesGzip = (accepted: string | undefined): boolean =>
  /(^|[ ,])gzip($|[ ,;])(?!q=0($|[ ,]))/i.test(accepted ?? '')

const notBuilt = (): HttpProblem =>
  new HttpProblem(
    'unknown_route',
    'the web page is not built here: run `npm run build` in the repository, then start this server again.',
  )

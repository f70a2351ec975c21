/** The program itself, and what the environment makes of its TLS. */
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const PROGRAM = {
  program: {
    is: 'ok',
    says: 'Tokenkeep {version} on Node {node}; Node {least} or later is supported',
    todo: null,
  },
  node_too_old: {
    is: 'wrong',
    says: 'this is Node {node}, and Tokenkeep needs Node {least} or later',
    todo: 'Start it with a newer Node.',
  },
  certificates_unchecked: {
    is: 'wrong',
    says: 'NODE_TLS_REJECT_UNAUTHORIZED is 0: nobody checks whether a provider is who it says it is',
    todo: 'Unset it. A certificate authority of your own is named by NODE_EXTRA_CA_CERTS.',
  },
  extra_certificates_unreadable: {
    is: 'wrong',
    says: 'NODE_EXTRA_CA_CERTS names a file that cannot be read ({reason}), which Node passes over',
    todo: 'Name a PEM file that this user can read, or unset it.',
  },
  proxy_not_used: {
    is: 'note',
    says: '{variable} is set, and Tokenkeep sends nothing through a proxy: a proxy could repeat a request',
    todo: 'Let this machine reach its providers directly.',
  },
} as const satisfies Kinds

const found = findingsOf('program', PROGRAM)

export interface ProgramSeen {
  readonly version: string
  readonly node: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Why the file of NODE_EXTRA_CA_CERTS cannot be read; null: it can, or none is named. */
  readonly extraCertificatesFailed: string | null
}

/** As package.json says it; a test compares. */
export const NODE_LEAST = '22.19'

export function judgeProgram({ version, node, environment, extraCertificatesFailed }: ProgramSeen): readonly Finding[] {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const [leastMajor = 0, leastMinor = 0] = NODE_LEAST.split('.').map(Number)
  const old = major < leastMajor || (major === leastMajor && minor < leastMinor)
  const proxy = PROXY_VARIABLES.find((name) => environment[name])
  return [
    old ? found('node_too_old', { node, least: NODE_LEAST }) : found('program', { version, node, least: NODE_LEAST }),
    ...(environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0' ? [found('certificates_unchecked', {})] : []),
    ...(extraCertificatesFailed === null
      ? []
      : [found('extra_certificates_unreadable', { reason: extraCertificatesFailed })]),
    ...(proxy === undefined ? [] : [found('proxy_not_used', { variable: proxy })]),
  ]
}

const PROXY_VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']

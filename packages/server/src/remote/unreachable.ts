/** Why no whole answer of a server came, in words; the error that Node threw stops here, for it can hold what was sent. */
import { TokenError } from '@tokenkeep/core'

export interface Lost {
  readonly server: string
  /** The request asked for something to be done. */
  readonly changes: boolean
}

/** @param error whatever Node threw while it sent the request or read the answer */
export function unreachable(error: unknown, { server, changes }: Lost): TokenError {
  const code = codeOf(error)
  const why = WHY.find(({ codes }) => codes.test(code)) ?? OTHERWISE
  const named = why === OTHERWISE && code !== '' ? ` (${code})` : ''
  return new TokenError(
    'server_unreachable',
    `the server at ${server} was not reached: ${why.words}${named}.${changes && why.perhapsSent ? LOOK_FIRST : ''}`,
  )
}

export const tooLate = ({ server, changes }: Lost, withinMs: number): TokenError =>
  new TokenError(
    'server_unreachable',
    `the server at ${server} did not answer within ${withinMs / 1000} s: look whether it runs, or try later.` +
      (changes ? LOOK_FIRST : ''),
  )

const LOOK_FIRST = ' Whether it did what was asked is not known: look before you ask again.'

interface Why {
  readonly codes: RegExp
  readonly words: string
  /** The request may have arrived. */
  readonly perhapsSent: boolean
}

const WHY: readonly Why[] = [
  {
    codes: /^(ENOTFOUND|EAI_AGAIN|EAI_NODATA|EAI_NONAME)$/,
    words: 'its host name was not found; look at the URL',
    perhapsSent: false,
  },
  {
    codes: /^ECONNREFUSED$/,
    words: 'nothing listens there; look at the URL, and whether the server runs (`tokenkeep serve`)',
    perhapsSent: false,
  },
  {
    codes: /^(EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL)$/,
    words: 'no way leads to its host; look at the URL and the network',
    perhapsSent: false,
  },
  {
    codes: /^ETIMEDOUT$/,
    words: 'its host did not answer in time; look at the URL and the network',
    perhapsSent: false,
  },
  {
    codes: /CERT|SELF_SIGNED|UNABLE_TO|^ERR_TLS|^ERR_SSL|^EPROTO$|HOSTNAME_MISMATCH/,
    words:
      'its certificate or TLS was not accepted; a certificate authority of your own is named by the variable ' +
      'NODE_EXTRA_CA_CERTS',
    perhapsSent: false,
  },
  { codes: /^HPE_/, words: 'what answers there speaks no HTTP; look at the URL', perhapsSent: true },
]

const OTHERWISE: Why = {
  codes: /$/,
  words: 'the connection ended before a whole answer came',
  perhapsSent: true,
}

/** A code is a name of Node; anything else is not repeated. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return ''
  return /^[A-Z][A-Z0-9_]+$/.test(error.code) ? error.code : ''
}

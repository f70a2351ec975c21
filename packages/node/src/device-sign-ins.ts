/**
 * Signing in on another device: this process shows a code, a person types it in a browser wherever they are, and meanwhile
 * the provider is asked until it says yes, no, or too late.
 *
 * @see RFC 8628
 */
import {
  afterPoll,
  TokenError,
  untilNextPoll,
  type Cipher,
  type Clock,
  type ConnectFailure,
  type ConnectionId,
  type DpopKey,
  type DpopKeys,
  type OpenedClient,
  type Provider,
  type Registry,
} from '@tokenkeep/core'
import { askDevice, askForCodes, type DeviceAnswered, type DeviceCodes } from './device-authorization.ts'
import { readDeviceSignInInput, type DeviceSignInInput } from './device-sign-in-input.ts'
import { unknownClient, type SignInDestination, type SignInKeeper } from './keep-sign-in.ts'
import type { ProviderAccess } from './provider-access.ts'

export interface DeviceSignIns {
  /**
   * Asks the provider for a code that a person types in a browser, on whatever device.
   *
   * @throws TokenError `invalid_input`, `unknown_client`, `unknown_provider`, `store_unavailable`; `unavailable`: the
   *   provider does not answer; `provider_refused`: it has no device authorization endpoint, or refused
   * @see RFC 8628 sections 3.1 and 3.2
   */
  begin(input: DeviceSignInInput): Promise<DeviceSignIn>
}

/** A sign-in that waits for its person. */
export interface DeviceSignIn {
  readonly provider: string
  readonly client: string
  /** The connection that it becomes. */
  readonly connection: string
  /** To be shown as it is: a provider may use any characters. */
  readonly userCode: string
  /** Where the person goes and types the code. An https URL (http to this machine). */
  readonly verificationUri: string
  /** The same with the code in it, for a link or a QR code; null: the provider gives none. */
  readonly verificationUriComplete: string | null
  /** When the code ends, epoch milliseconds. */
  readonly expiresAt: number
  /** So often the provider is asked at first, milliseconds. */
  readonly intervalMs: number
  /**
   * Asks until the sign-in is over, and keeps it. Asked again while it waits, it is the same waiting.
   *
   * @param signal ends it: the question on its way is heard out, because its answer may bring the tokens
   * @throws TokenError `key_missing`, `key_wrong`: what comes back could not be kept, and nothing was asked
   * @see RFC 8628 sections 3.4 and 3.5
   */
  finished(signal?: AbortSignal): Promise<DeviceFinished>
}

/** Why a sign-in on another device brought no connection. `expired`: nobody said yes or no in time. */
export type DeviceFailure = ConnectFailure | 'expired'

export type DeviceFinished =
  | {
      readonly kind: 'connected'
      readonly connection: string
      /** It existed before and was given a new sign-in. */
      readonly renewed: boolean
      readonly scope: string | null
      /** Who signed in, as the provider calls them; null: not told. */
      readonly account: string | null
    }
  | {
      readonly kind: 'failed'
      readonly because: DeviceFailure
      /** The provider's error word, where it is one that cannot hold a secret. */
      readonly word: string | null
    }
  /** By the signal, or because this Tokenkeep was closed. */
  | { readonly kind: 'stopped' }

export interface DeviceSignInsSetup {
  readonly access: ProviderAccess
  readonly registry: Registry
  readonly keeper: SignInKeeper
  readonly cipher: Cipher
  readonly dpopKeys: DpopKeys
  readonly clock: Clock
  /** Reads an id that a person wrote. @throws TokenError `invalid_input` */
  readonly connectionId: (given: unknown) => ConnectionId
}

/** @returns with `close`: the waiting ends, and what is on its way is heard out and kept */
export function createDeviceSignIns(setup: DeviceSignInsSetup): DeviceSignIns & { close(): Promise<void> } {
  const { access, registry, keeper, cipher, dpopKeys, clock, connectionId } = setup
  const closing = new AbortController()
  const waiting = new Set<Promise<unknown>>()

  const partiesOf = async ({
    provider,
    client,
  }: {
    readonly provider: Provider['id']
    readonly client: OpenedClient['id']
  }) => {
    const [found, opened] = await Promise.all([registry.provider(provider), registry.client(client)])
    return found === null || opened === null || typeof opened === 'string' ? null : { provider: found, client: opened }
  }

  /** One question; all that its answer needs is there before it is asked. */
  const ask = async (of: Waited): Promise<DeviceAnswered> => {
    try {
      // Keys first: what comes back has to be kept. And what the client proves itself with may have changed meanwhile.
      await cipher.sealer()
      const parties = await partiesOf(of)
      if (parties === null) return { kind: 'failed', because: 'misconfigured', word: null }
      return await askDevice(access, {
        ...parties,
        deviceCode: of.codes.deviceCode,
        asked: of.asked,
        dpopKey: of.dpopKey,
      })
    } catch (error) {
      // The database is away: nothing was asked, and a yes can wait for it.
      if (error instanceof TokenError && error.retryable) return { kind: 'unanswered', retryAfterMs: null }
      throw error
    }
  }

  const untilOver = async (of: Waited, signal: AbortSignal): Promise<DeviceFinished> => {
    let { poll } = of.codes
    const stopped = aborted(signal)
    for (;;) {
      const { afterMs, last } = untilNextPoll(poll, clock.now().mono)
      const alarm = clock.alarm(afterMs)
      const rung = await Promise.race([alarm.rung.then(() => true), stopped])
      alarm.cancel()
      if (!rung || signal.aborted) return { kind: 'stopped' }
      if (last) return { kind: 'failed', because: 'expired', word: null }
      const heard = await ask(of)
      switch (heard.kind) {
        case 'signed_in': {
          const { account } = heard.signIn
          const bound = of.dpopKey === null ? {} : { dpopKey: of.dpopKey.reveal() }
          const kept = await keeper.keep(of.destination, { ...heard.signIn, ...bound })
          return kept.kind === 'failed' ? { ...kept, word: null } : { ...kept, kind: 'connected', account }
        }
        case 'failed':
          // Where the answer before was lost, it may have been the yes, which spends the code.
          return heard.because === 'code_refused' && poll.unanswered > 0 ? { ...heard, because: 'unavailable' } : heard
        case 'pending':
        case 'slow_down':
        case 'unanswered':
          poll = afterPoll(poll, heard)
      }
    }
  }

  return {
    async begin(input) {
      const read = readDeviceSignInInput(input, connectionId)
      const { client: named, connection } = await keeper.destinationOf(read)
      const parties = await partiesOf({ provider: named.provider, client: named.id })
      if (parties === null) throw unknownClient(named.id)
      const dpopKey = parties.client.dpopBoundAccessTokens ? (await dpopKeys.make()).key : null
      const asked = read.scope ?? parties.provider.authorization.scope
      const codes = await askForCodes(access, { ...parties, scope: asked, resources: read.resources })
      const { labels, otherAccount } = read
      const destination = { connection, client: named.id, labels, within: {}, otherAccount }
      const waited: Waited = { provider: named.provider, client: named.id, codes, asked, dpopKey, destination }
      const { wall, mono } = clock.now()
      const stopping = new AbortController()
      let run: Promise<DeviceFinished> | null = null
      return {
        provider: named.provider,
        client: named.id,
        connection,
        userCode: codes.userCode,
        verificationUri: codes.verificationUri,
        verificationUriComplete: codes.verificationUriComplete,
        expiresAt: Math.round(wall + (codes.poll.endsAt - mono)),
        intervalMs: codes.poll.intervalMs,
        finished(signal) {
          if (signal?.aborted === true) stopping.abort()
          signal?.addEventListener('abort', () => stopping.abort(), { once: true })
          if (run === null) {
            run = untilOver(waited, AbortSignal.any([stopping.signal, closing.signal]))
            const landed: Promise<unknown> = run.catch(() => undefined).finally(() => waiting.delete(landed))
            waiting.add(landed)
          }
          return run
        },
      }
    },

    async close() {
      closing.abort()
      await Promise.all(waiting)
    },
  }
}

interface Waited {
  readonly provider: Provider['id']
  readonly client: OpenedClient['id']
  readonly codes: DeviceCodes
  /** The scope that was asked for; null: none. */
  readonly asked: string | null
  /** What its tokens will be bound to, in memory only; null: nothing. */
  readonly dpopKey: DpopKey | null
  readonly destination: SignInDestination
}

const aborted = (signal: AbortSignal): Promise<false> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    signal.addEventListener('abort', () => resolve(false), { once: true })
  })

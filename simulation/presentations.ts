/** The way to the authorization server and back: every presentation, what the server made of it, and who heard. */
import {
  Secret,
  type Answer,
  type AttemptId,
  type ConnectionRow,
  type Fence,
  type NotSent,
  type Now,
  type Ports,
  type Presentation,
  type ProviderId,
  type Uid,
} from '@tokenkeep/core'
import type { ArmedFaults } from './armed-faults.ts'
import type { AuthorizationServer, Issued, Proof, ServerAnswer } from './authorization-server.ts'
import type { Draw } from './draw.ts'
import type { ServerFault } from './plan.ts'
import type { Process, ProcessControl } from './processes.ts'
import type { Timeline } from './timeline.ts'

/** One request that left. */
export interface Presented {
  readonly at: number
  readonly by: Process
  /** By the monotonic clock of its process. */
  readonly monoAt: number
  readonly provider: ProviderId
  readonly uid: Uid
  readonly attempt: AttemptId
  readonly fence: Fence
  readonly refreshToken: string
  readonly proof: Proof
  /** The second request of its attempt; null: the first one. */
  readonly after: Presented | null
  readonly fault: ServerFault | null
  /** How much later than usual its answer comes. */
  readonly lateMs: number
  /** The row when it left; null: it was gone. */
  readonly row: ConnectionRow | null
  reachedAt: number | null
  /** What the server did; null: nothing, or nothing yet. */
  did: ServerAnswer['verdict'] | 'not_spent' | 'lied' | null
  carries: Issued | null
  /** What became of its answer. */
  answer: 'on_its_way' | 'arrived' | 'lost'
  arrivedAt: number | null
  /** Reset by ourselves. */
  abandonedAt: number | null
  /** When its process knew what became of it; null: not yet. */
  endedAt: number | null
  /** The seconds that its answer asked for, where it did. */
  toldToWaitMs: number | null
}

export interface PresentationsOptions {
  readonly timeline: Timeline
  readonly draw: Draw
  readonly faults: ArmedFaults
  readonly control: ProcessControl
  /** Where its provider's requests arrive. */
  serverAt(provider: ProviderId): AuthorizationServer
  /** The next presentations are not judged: the server is out. */
  isOut(provider: ProviderId): boolean
  readonly rowOf: (uid: Uid) => ConnectionRow | null
  /** Called when it leaves, before the server has it. */
  left(presented: Presented): void
  /** Called before the server judges it. */
  reaches(presented: Presented): void
}

interface Wire {
  readonly status: number
  readonly text: string
  readonly retryAfter: string | null
  /** What proofs are to name from now on; null: it says nothing of that. */
  readonly nonce: string | null
  readonly complete: boolean
  /** Tokens that were in it can surely be read. */
  readonly readable: boolean
}

export function createPresentations(options: PresentationsOptions) {
  const { timeline, draw, faults, control } = options
  const all: Presented[] = []

  const present =
    (by: Process, now: () => Now): Ports['endpoint']['present'] =>
    (line, lease, ticket, form): Presentation => {
      const lent = ticket.take(lease, now())
      const { promise: ever, resolve } = Promise.withResolvers<Answer | NotSent>()
      if (lent === 'over' || lent.kind !== 'refresh_token') {
        resolve({ kind: 'not_sent', because: 'send_limit' })
        return { ever, abandon: () => undefined }
      }
      const { provider, proof } = line as unknown as ModelledLine
      const isOut = options.isOut(provider)
      const fault = isOut ? OUT : faults.strikePresentation()
      const presented: Presented = {
        at: timeline.now(),
        by,
        monoAt: now().mono,
        provider,
        uid: lease.uid,
        attempt: lease.attempt,
        fence: lease.fence,
        refreshToken: lent.refreshToken.reveal(),
        proof,
        after: all.findLast(({ attempt }) => attempt === lease.attempt) ?? null,
        fault: fault?.kind ?? null,
        lateMs: fault?.kind === 'late' ? fault.forMs : 0,
        row: options.rowOf(lease.uid),
        reachedAt: null,
        did: null,
        carries: null,
        answer: 'on_its_way',
        arrivedAt: null,
        abandonedAt: null,
        endedAt: null,
        toldToWaitMs: null,
      }
      all.push(presented)
      options.left(presented)
      const sentAt = now()
      let open = true
      const ends = (answer: Answer): void => {
        if (!open) return
        open = false
        presented.endedAt = timeline.now()
        resolve(answer)
      }
      const breaks = (): void =>
        control.deliver(by, 'arrived', () => ends({ kind: 'no_answer', because: 'reset', sentAt }))
      const wayMs = 2 + draw.fraction() * 30
      const forMs = fault?.forMs ?? 0
      const lost = (): void => {
        presented.answer = 'lost'
      }

      if (fault?.kind === 'lost_request') {
        lost()
        timeline.after(wayMs, breaks)
        return { ever, abandon: () => ends({ kind: 'no_answer', because: 'abandoned', sentAt }) }
      }
      if (fault?.kind === 'queued') timeline.after(wayMs, breaks)
      control.travel(by, 'request', fault?.kind === 'queued' ? wayMs + forMs : wayMs, () => {
        const wire = serve(presented, form.scope)
        const back = wayMs + (fault?.kind === 'late' ? forMs : 0)
        if (fault?.kind === 'lost_answer') timeline.after(back, breaks)
        if (fault?.kind === 'lost_answer' || fault?.kind === 'silent' || !open) return lost()
        control.travel(by, 'reply', back, () => {
          if (!open) return lost()
          control.arrive(
            by,
            () => {
              if (!open) return lost()
              presented.answer = wire.readable ? 'arrived' : 'lost'
              presented.arrivedAt = timeline.now()
              const { status, retryAfter, complete, nonce } = wire
              if (status === 429 && retryAfter !== null) presented.toldToWaitMs = Number(retryAfter) * 1000
              const body = new Secret('answer_body', wire.text)
              const dpopNonce = nonce === null ? {} : { dpopNonce: nonce }
              ends({ kind: 'response', status, retryAfter, date: null, body, complete, ...dpopNonce, sentAt })
            },
            lost,
          )
        })
      })
      return {
        ever,
        abandon() {
          if (open) presented.abandonedAt = timeline.now()
          if (open && presented.answer === 'on_its_way') lost()
          ends({ kind: 'no_answer', because: 'abandoned', sentAt })
        },
      }
    }

  const serve = (presented: Presented, scope: string | null): Wire => {
    presented.reachedAt = timeline.now()
    const server = options.serverAt(presented.provider)
    const nonce = server.nonceAt(timeline.now())
    const instead = presented.fault === null ? undefined : INSTEAD[presented.fault]
    if (instead !== undefined) {
      presented.did = INSTEAD_DID[presented.fault ?? 'down'] ?? 'not_spent'
      return { ...instead, nonce: presented.did === 'asked' ? nonce : null, complete: true, readable: true }
    }
    // Without the right nonce nobody looks at what is presented.
    if (presented.proof.nonce === nonce) options.reaches(presented)
    const { verdict, status, body, carries } = server.present(
      presented.refreshToken,
      scope,
      timeline.now(),
      presented.proof,
    )
    presented.did = verdict
    presented.carries = carries
    const text = JSON.stringify(body)
    const whole = { status, text, retryAfter: null, nonce, complete: true, readable: true }
    // Somewhere: what is before it may hold the whole refresh token.
    const cut = { text: text.slice(0, Math.floor(text.length * draw.fraction())), complete: false, readable: false }
    if (presented.fault === 'cut') return { ...whole, ...cut }
    const garbled = presented.fault === null ? undefined : GARBLED[presented.fault]
    return garbled === undefined ? whole : { ...whole, ...garbled, readable: false }
  }

  return { all, present }
}
/** What `connect` of the ports gives. */
export interface ModelledLine {
  readonly provider: ProviderId
  readonly proof: Proof
  close(): void
}
const OUT = { kind: 'down', forMs: 0 } as const
export type Presentations = ReturnType<typeof createPresentations>

/** What takes the place of an answer, after the server judged the request. */
const GARBLED: Partial<Record<ServerFault, Pick<Wire, 'status' | 'text'>>> = {
  nonsense: { status: 200, text: '<html>it works</html>' },
  broken: { status: 502, text: '<html>bad gateway</html>' },
}
/** What is answered without the server having judged it. */
const INSTEAD: Partial<Record<ServerFault, Pick<Wire, 'status' | 'text' | 'retryAfter'>>> = {
  too_many_requests: { status: 429, text: '{"error":"slow_down"}', retryAfter: '3' },
  down: { status: 503, text: '{}', retryAfter: '2' },
  spurious_refusal: { status: 400, text: '{"error":"invalid_grant"}', retryAfter: null },
  asks_nonce: { status: 400, text: '{"error":"use_dpop_nonce"}', retryAfter: null },
}
const INSTEAD_DID: Partial<Record<ServerFault, NonNullable<Presented['did']>>> = {
  spurious_refusal: 'lied',
  asks_nonce: 'asked',
}

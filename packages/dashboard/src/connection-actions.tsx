/** What somebody can do to a connection, each with a question before. */
import { useState } from 'preact/hooks'
import { ask } from './api.ts'
import type { Connection, ConnectSession, ConnectSessionMade } from './contract.ts'
import { Confirm, Dialog } from './dialog.tsx'
import { useLive } from './live.ts'
import { When } from './moments.tsx'
import { CopyButton } from './parts.tsx'
import { href } from './route.ts'

type Asked = 'present' | 'link' | 'revoke' | null

export function ConnectionActions({ of, reload }: { readonly of: Connection; readonly reload: () => void }) {
  const [asked, setAsked] = useState<Asked>(null)
  const [made, setMade] = useState<ConnectSessionMade | null>(null)
  const [said, say] = useState('')
  const close = (): void => setAsked(null)
  const path = `/v1/connections/${encodeURIComponent(of.id)}`
  const canPresent = of.status === 'in_doubt' || of.status === 'suspect' || of.status === 'blocked'
  const isOver = of.status === 'deleting' || of.status === 'erased'
  return (
    <div class="actions">
      {canPresent ? (
        <button type="button" class="act" onClick={() => setAsked('present')}>
          Present now
        </button>
      ) : null}
      {isOver || of.grant_type !== 'refresh_token' ? null : (
        <button type="button" class={of.status === 'needs_user' ? 'act' : 'quiet'} onClick={() => setAsked('link')}>
          Reconnect link
        </button>
      )}
      {isOver ? null : (
        <button type="button" class="quiet quiet-danger" onClick={() => setAsked('revoke')}>
          Revoke
        </button>
      )}
      <span role="status" class="said">
        {said}
      </span>

      {asked === 'present' ? (
        <Confirm
          title="Present the refresh token now?"
          act="Present it now, once"
          isDangerous={of.status === 'in_doubt'}
          close={close}
          run={async () => {
            await ask<Connection>('POST', `${path}/resolve`)
            say('It is being presented.')
            reload()
          }}
        >
          <p>
            It is sent to <strong>{of.provider}</strong> once, instead of at the moment that is planned.
          </p>
          {of.status === 'in_doubt' ? (
            <p>If the provider took the lost request, and is strict, a second presentation ends the sign-in.</p>
          ) : null}
        </Confirm>
      ) : null}

      {asked === 'link' ? (
        <Confirm
          title="Make a reconnect link?"
          act="Make the link"
          close={close}
          run={async () => {
            const body = { client: of.client, connection: of.id }
            setMade(await ask<ConnectSessionMade>('POST', '/v1/connect-sessions', body))
          }}
        >
          <p>
            Whoever opens it signs in at <strong>{of.provider}</strong>, within an hour. <span class="id">{of.id}</span>{' '}
            gets that sign-in; its labels and history stay.
          </p>
          <p>Send it to the person whose account it is, and to nobody else.</p>
        </Confirm>
      ) : null}
      {made === null ? null : <LinkMade of={made} close={() => setMade(null)} />}

      {asked === 'revoke' ? (
        <Confirm
          title={`Revoke ${of.id}?`}
          act="Revoke and erase"
          isDangerous
          close={close}
          run={async () => {
            await ask('DELETE', path)
            location.hash = href(['connections'])
          }}
        >
          <p>
            Its refresh token is revoked at <strong>{of.provider}</strong>, then every secret of it is erased. Programs
            that use it get no token any more.
          </p>
          <p>There is no way back: a person has to sign in again.</p>
        </Confirm>
      ) : null}
    </div>
  )
}

const HOW_FAR: Readonly<Record<ConnectSession['status'], string>> = {
  open: 'Nobody has opened it yet.',
  signing_in: 'A person is at the provider.',
  exchanging: 'The provider sent the person back.',
  connected: 'Done: the person signed in, and the connection works.',
  expired: 'Nobody came in time. Make another one.',
}

function LinkMade({ of, close }: { readonly of: ConnectSessionMade; readonly close: () => void }) {
  const { data } = useLive<ConnectSession>(`/v1/connect-sessions/${encodeURIComponent(of.id)}`, 2000)
  const { status, failure } = data ?? of
  return (
    <Dialog title="The link is made" close={close}>
      <div class="stack">
        <p>
          It is shown now, and never again. It is good until <When at={of.expires_at} />.
        </p>
        <output class="secret">{of.url}</output>
        <p role="status">
          {HOW_FAR[status]}
          {failure === null ? '' : ` The last try failed: ${failure.because.replaceAll('_', ' ')}.`}
        </p>
        <div class="buttons">
          <CopyButton text={of.url} what="the link" />
          <button type="button" class="quiet" onClick={close}>
            Close
          </button>
        </div>
      </div>
    </Dialog>
  )
}

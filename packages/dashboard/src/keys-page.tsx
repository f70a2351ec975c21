/** API keys: who may ask this server, made and revoked here. A new key is shown once. */
import { useState } from 'preact/hooks'
import { ask } from './api.ts'
import type { ApiKey, ApiKeyMade, ApiKeys, NewApiKey, Session } from './contract.ts'
import { Confirm, Dialog } from './dialog.tsx'
import { useLive } from './live.ts'
import { Mark } from './mark.tsx'
import { When } from './moments.tsx'
import { Card, CopyButton, Labels, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'

export function KeysPage({ session }: { readonly session: Session }) {
  const keys = useLive<ApiKeys>('/v1/keys', 10_000)
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState<ApiKeyMade | null>(null)
  const [revoked, setRevoked] = useState<ApiKey | null>(null)
  const [showsOld, setShowsOld] = useState(false)
  const all = keys.data?.api_keys ?? []
  const living = all.filter((key) => key.revoked_at === null)
  const shown = showsOld ? all : living
  return (
    <Sheet
      title="API keys"
      beside={
        <button type="button" class="act" onClick={() => setMaking(true)}>
          New key
        </button>
      }
    >
      {keys.problem === null ? null : <Wrong problem={keys.problem} again={keys.reload} />}
      <Card class="flush">
        {keys.data === null ? (
          keys.problem === null ? (
            <Waiting />
          ) : null
        ) : shown.length === 0 ? (
          <Nothing title="There is no key." />
        ) : (
          <Rows of={shown} own={session.api_key.id} revoke={setRevoked} />
        )}
      </Card>
      {all.length > living.length ? (
        <p class="more">
          <button type="button" class="quiet" aria-pressed={showsOld} onClick={() => setShowsOld(!showsOld)}>
            {showsOld ? 'Leave out' : 'Show'} the {all.length - living.length} revoked
          </button>
        </p>
      ) : null}
      {isMaking ? (
        <NewKey
          own={session}
          close={() => setMaking(false)}
          made={(key) => {
            setMade(key)
            keys.reload()
          }}
        />
      ) : null}
      {made === null ? null : <KeyMade of={made} close={() => setMade(null)} />}
      {revoked === null ? null : (
        <Confirm
          title={`Revoke ${revoked.name}?`}
          act="Revoke the key"
          isDangerous
          close={() => setRevoked(null)}
          run={async () => {
            await ask<ApiKey>('DELETE', `/v1/keys/${encodeURIComponent(revoked.id)}`)
            keys.reload()
          }}
        >
          <p>Programs that send it are refused from now on, and its local refresh tokens and sessions end with it.</p>
          {revoked.id === session.api_key.id ? <p>You are signed in with this key: you are signed out, too.</p> : null}
        </Confirm>
      )}
    </Sheet>
  )
}

function Rows(props: { readonly of: readonly ApiKey[]; readonly own: string; readonly revoke: (key: ApiKey) => void }) {
  return (
    <div class="table-frame">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">May</th>
            <th scope="col">Made</th>
            <th scope="col">Ends</th>
            <th scope="col">
              <span class="unseen">What can be done</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.of.map((key) => (
            <tr key={key.id}>
              <th scope="row">
                <span class="key-name">{key.name}</span>
                {key.id === props.own ? <span class="badge">you</span> : null}
                <span class="id dim small">{key.id}</span>
                <Labels labels={key.labels} />
              </th>
              <td data-name="May">
                <ul class="scopes">
                  {key.scopes.map((scope) => (
                    <li key={scope}>{scope}</li>
                  ))}
                </ul>
              </td>
              <td data-name="Made">
                <When at={key.created_at} />
              </td>
              <td data-name="Ends">
                {key.revoked_at === null ? (
                  <When at={key.expires_at} absent="never" />
                ) : (
                  <span class="sign tone-quiet">
                    <Mark tone="quiet" />
                    revoked <When at={key.revoked_at} />
                  </span>
                )}
              </td>
              <td class="row-act">
                {key.revoked_at === null ? (
                  <button
                    type="button"
                    class="quiet quiet-danger"
                    aria-label={`Revoke ${key.name}`}
                    onClick={() => props.revoke(key)}
                  >
                    Revoke
                  </button>
                ) : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const SCOPES: readonly (readonly [scope: NonNullable<NewApiKey['scopes']>[number], means: string])[] = [
  ['token:read', 'get access tokens'],
  ['proxy', 'call APIs through the proxy'],
  ['connections:read', 'see connections'],
  ['connections:write', 'import, reconnect and revoke connections'],
  ['providers:write', 'change providers and clients'],
  ['keys:write', 'make and revoke keys'],
  ['admin', 'everything'],
]

function NewKey(props: {
  readonly own: Session
  readonly close: () => void
  readonly made: (key: ApiKeyMade) => void
}) {
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(['token:read']))
  const [labels, setLabels] = useState('')
  return (
    <Confirm
      title="A new API key"
      act="Make the key"
      close={props.close}
      run={async () => {
        const body = {
          name: name.trim(),
          scopes: SCOPES.map(([scope]) => scope).filter((scope) => scopes.has(scope)),
          labels: labelsIn(labels),
        }
        props.made(await ask<ApiKeyMade>('POST', '/v1/keys', body satisfies NewApiKey))
      }}
    >
      <label for="key-name">Name</label>
      <input
        id="key-name"
        required
        maxLength={100}
        autocomplete="off"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <fieldset>
        <legend>It may</legend>
        {SCOPES.map(([scope, means]) => (
          <label key={scope} class="check">
            <input
              type="checkbox"
              checked={scopes.has(scope)}
              onChange={(event) => {
                const next = new Set(scopes)
                if (event.currentTarget.checked) next.add(scope)
                else next.delete(scope)
                setScopes(next)
              }}
            />
            <span>
              {means} <span class="dim id">{scope}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <label for="key-labels">Only connections with these labels</label>
      <input
        id="key-labels"
        autocomplete="off"
        placeholder="team=sales, region=north"
        value={labels}
        onInput={(event) => setLabels(event.currentTarget.value)}
      />
    </Confirm>
  )
}

/** `a=b, c=d`. What has no `=` is a label without a value, which the server judges. */
function labelsIn(text: string): Record<string, string> {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
  return Object.fromEntries(
    pairs.map((pair) =>
      pair.includes('=') ? [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] : [pair, ''],
    ),
  )
}

function KeyMade({ of, close }: { readonly of: ApiKeyMade; readonly close: () => void }) {
  return (
    <Dialog title={`${of.name} is made`} close={close}>
      <div class="stack">
        <p>This is the key. It is shown now, and never again.</p>
        <output class="secret">{of.key}</output>
        <div class="buttons">
          <CopyButton text={of.key} what="the key" />
          <button type="button" class="quiet" onClick={close}>
            I have it
          </button>
        </div>
      </div>
    </Dialog>
  )
}

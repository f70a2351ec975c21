import type { IncomingMessage } from 'node:http'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Realm } from './realm.ts'

const changes = new WeakMap<IncomingMessage, (callback: URL) => URL>()

/** Has the answer to this authorization request changed on its way to the client, should it go there. */
export function changeCallback(request: IncomingMessage, change: (callback: URL) => URL): void {
  changes.set(request, change)
}

/** Does to an authorization answer what the realm's settings and {@link changeCallback} want, if this is one. */
export function finishCallback(realm: Realm, ctx: KoaContextWithOIDC): void {
  const location = ctx.res.getHeader('location')
  // Pages that redirect to pages have no parameters of an authorization request, or lead elsewhere.
  const redirectUri: unknown = (ctx.oidc as KoaContextWithOIDC['oidc'] | undefined)?.params?.['redirect_uri']
  if (typeof location !== 'string' || typeof redirectUri !== 'string' || !location.startsWith(redirectUri)) return
  const callback = new URL(location)
  if (!callback.searchParams.has('code') && !callback.searchParams.has('error')) return
  if (!realm.settings.authorizationResponseIss) callback.searchParams.delete('iss')
  const change = changes.get(ctx.req)
  ctx.set('location', (change ? change(callback) : callback).href)
}

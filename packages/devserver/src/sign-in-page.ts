import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { escapeHtml, page } from './page.ts'

/** One step of a browser sign-in: the engine has sent the browser here and waits for a name. */
export interface SignInStep {
  readonly provider: Provider
  readonly realmName: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The posted form, on POST. */
  readonly form: URLSearchParams
}

/** The minimal sign-in: any user name is welcome, and consent is given without asking. */
export async function serveSignIn(step: SignInStep): Promise<void> {
  const { provider, request, response, form } = step
  const interaction = await provider.interactionDetails(request, response).catch(() => null)
  if (interaction === null) {
    send(response, 400, page('Sign-in is over', '<p>This sign-in is over or was started elsewhere. Start again.</p>'))
    return
  }
  if (request.method === 'POST' && form.has('deny')) {
    const denied = { error: 'access_denied', error_description: 'The end user denied the request' }
    await provider.interactionFinished(request, response, denied, { mergeWithLastSubmission: false })
    return
  }
  if (interaction.prompt.name === 'consent') {
    const { grantId } = interaction
    const consent = grantId === undefined ? {} : { grantId }
    await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true })
    return
  }
  const name = form.get('login')?.trim()
  if (request.method === 'POST' && name) {
    const login = { login: { accountId: name } }
    await provider.interactionFinished(request, response, login, { mergeWithLastSubmission: false })
    return
  }
  const client = String(interaction.params['client_id'])
  send(response, 200, page('Sign in', signInForm(step.realmName, client)))
}

function signInForm(realm: string, client: string): string {
  return `<p>Realm <b>${escapeHtml(realm)}</b>, for <b>${escapeHtml(client)}</b>. Any name will do.</p>
<form method="post"><label>User name <input name="login" autofocus required></label> <button>Sign in</button>
<button name="deny" value="yes" formnovalidate>Deny</button></form>`
}

function send(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html)
}

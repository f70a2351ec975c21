import type { Configuration } from 'oidc-provider'
import { escapeHtml, page } from './page.ts'

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>

/** The pages on which a person types the code that a device shows, and says whether it may go on (RFC 8628 section 3.3). */
export const DEVICE_PAGES = {
  userCodeInputSource(ctx, form, out, error) {
    // The engine throws these two by name and exports neither.
    if (error?.name === 'AbortedError') {
      ctx.body = page('Denied', '<p>The device was told so. You may close this page.</p>')
      return
    }
    const trouble = error ? `<p><b>${escapeHtml(out?.error_description ?? TROUBLE)}</b></p>` : ''
    const prompt = '<p>Type the code that your device shows.</p>'
    ctx.body = page('Connect a device', `${trouble}${prompt}${form}<button form="op.deviceInputForm">Go on</button>`)
  },
  userCodeConfirmSource(ctx, form, client, _deviceInfo, userCode) {
    const question = `<p>Does your device show <b>${escapeHtml(userCode)}</b>, and is it for <b>${escapeHtml(client.clientId)}</b>?</p>`
    const buttons = `<button form="op.deviceConfirmForm">Go on</button>
<button form="op.deviceConfirmForm" name="abort" value="yes">Deny</button>`
    ctx.body = page('Is this your device?', `${question}${form}${buttons}`)
  },
  successSource(ctx) {
    ctx.body = page('Connected', '<p>Your device goes on by itself. You may close this page.</p>')
  },
} as const satisfies DeviceFlow

const TROUBLE = 'This code is not known, over, or used already.'

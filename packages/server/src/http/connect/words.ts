/** What a person is told about a sign-in: what it came to, and what to do. */
import { assertNever, type ConnectFailure, type ConnectSession } from '@tokenkeep/core'
import type { Finished } from '@tokenkeep/node'
import type { Page } from './page.ts'

export function startPage({ provider, connection }: ConnectSession, host: string | null): Page {
  return {
    title: `Connect ${provider}`,
    text: [
      `You are about to sign in at ${host ?? provider}, and to let this service use that sign-in for the connection below.`,
      'If nobody you know sent you this link, close this page: whoever made it could act with your account.',
    ],
    facts: [['Connection', connection]],
    button: `Sign in at ${host ?? provider}`,
  }
}

function connectedPage(session: ConnectSession, account: string | null): Page {
  const { state, provider, connection } = session
  const renewed = state.status === 'connected' && state.renewed
  const scope = state.status === 'connected' ? state.scope : null
  return {
    title: renewed ? `${provider} is connected again` : `${provider} is connected`,
    text: ['You can close this page.'],
    facts: [
      ['Connection', connection],
      ...(account === null ? [] : [['Account', account] as const]),
      ...(scope === null ? [] : [['Scope', scope] as const]),
    ],
  }
}

function failedPage({ provider, connection }: ConnectSession, because: ConnectFailure, again: string): Page {
  const { title, text } = failureInWords(because, provider)
  return {
    title,
    text: [text, `Nothing was changed. To try again, ${again}.`],
    facts: [['Connection', connection]],
  }
}

/** What went wrong, in one sentence for whoever signs in, and for whoever waits for it. */
export function failureInWords(
  because: ConnectFailure,
  provider: string,
): { readonly title: string; readonly text: string } {
  switch (because) {
    case 'denied':
      return { title: 'Access was denied', text: `${provider} says that access was denied.` }
    case 'interaction_required':
      return {
        title: `${provider} wants you to do something first`,
        text: `Sign in at ${provider} itself, do what it asks for, and come back.`,
      }
    case 'not_authentic':
      return {
        title: 'This answer was not taken',
        text: `What came back is not the answer of ${provider} to this sign-in. Somebody may have tried to slip in another one.`,
      }
    case 'code_refused':
      return {
        title: `${provider} did not take its own answer back`,
        text: 'It was used before, took too long, or belongs to another sign-in.',
      }
    case 'misconfigured':
      return {
        title: `${provider} refuses this service`,
        text: 'Its registration there has to be mended by whoever runs this service; signing in again does not help before.',
      }
    case 'unavailable':
      return {
        title: `${provider} could not be asked`,
        text: 'It did not answer, or not so that it could be used.',
      }
    case 'other_account':
      return {
        title: 'That is another account',
        text: 'This connection belongs to another account than the one that you signed in with, or whose that is could not be told.',
      }
    case 'held':
      return {
        title: 'This sign-in is in use already',
        text: 'Another connection has this very sign-in: use that one, or sign in with another account.',
      }
    case 'not_connectable':
      return {
        title: 'This connection cannot be signed in to',
        text: 'It is being deleted, or is not one of a person.',
      }
    default:
      return assertNever(because)
  }
}

export const overPage = (session: ConnectSession | null): Page =>
  session?.state.status === 'connected'
    ? { ...connectedPage(session, null), text: ['This sign-in is done. You can close this page.'] }
    : {
        title: 'This link is over',
        text: ['It is not known here, or not any more. Ask whoever sent it to you for a new one.'],
      }

const unknownAnswerPage = (again: string): Page => ({
  title: 'No sign-in is waiting for this',
  text: [`It took too long, or was begun again since. To try again, ${again}.`],
})

const otherBrowserPage: Page = {
  title: 'This sign-in began in another browser',
  text: ['Nothing was taken. Go on in the browser in which you began.'],
}

const takenPage = (again: string): Page => ({
  title: 'This answer was brought before',
  text: [`An answer is taken once. To try again, ${again}.`],
})

/**
 * The page on which a person ends, and its status.
 *
 * @param again what a person does to try again
 */
export function answerTo(
  finished: Finished,
  again = 'open the link once more that you came with',
): { readonly status: number; readonly page: Page } {
  switch (finished.kind) {
    case 'connected':
      return { status: 200, page: connectedPage(finished.session, finished.account) }
    case 'failed':
      return { status: 400, page: failedPage(finished.session, finished.because, again) }
    case 'taken':
      return { status: 409, page: takenPage(again) }
    case 'other_browser':
      return { status: 403, page: otherBrowserPage }
    case 'unknown':
      return { status: 404, page: unknownAnswerPage(again) }
  }
}

/** `docs/conformance.md`, made from the lists of requirements. */
import { format, resolveConfig } from 'prettier'
import { fileURLToPath } from 'node:url'
import type { Binds, Requirement, Specification, TestReference } from './conformance/requirement.ts'

export const DOCUMENT = fileURLToPath(new URL('../docs/conformance.md', import.meta.url))

const HEAD = `# Conformance

<!-- Made by scripts/conformance-document.mjs from checks/conformance; a test compares, and looks for each named test. -->

What the specifications require of Tokenkeep, and the test that shows it. In our own words: each MUST and MUST NOT that binds a client of providers and APIs, the
drop-in as an authorization server, or the receivers of logout tokens and security events; and the SHOULDs that matter for safety. REQUIRED is written MUST,
RECOMMENDED is written SHOULD, and _text_ is what a specification says without one of these words. What we must not do is said as what is not done: "MUST NOT: a token is
sent in two places".

A test is named as its file writes it, \`\${...}\` where it runs for several cases. \`node/sign-in\` is \`packages/node/test/sign-in.test.ts\`.

`

const BINDS: Readonly<Record<Binds, string>> = { client: 'client', 'drop-in': 'drop-in', receiver: 'receiver' }

/** Why no test shows a requirement; null: tests do. */
export function reasonOf(
  requirement: Requirement,
): { readonly kind: 'does not apply' | 'otherwise, on purpose' | 'open'; readonly reason: string } | null {
  if ('shownBy' in requirement) return null
  if ('doesNotApply' in requirement) return { kind: 'does not apply', reason: requirement.doesNotApply }
  if ('otherwise' in requirement) return { kind: 'otherwise, on purpose', reason: requirement.otherwise }
  return { kind: 'open', reason: requirement.open }
}

/** `6749-2.3-one-method`: what a reader names one requirement by. */
export const idOf = ({ name }: Specification, { id }: Requirement): string =>
  `${name.replace(/^RFC /, '').replaceAll(' ', '-')}-${id}`

/** The section of a requirement: what stands before the first hyphen of its id. */
export const sectionOf = ({ id }: Requirement): string => id.slice(0, id.indexOf('-'))

/** A reference to a test, cut at the colon behind its file. */
export function partsOf(reference: TestReference): { readonly file: string; readonly test: string } {
  const colon = reference.indexOf(': ')
  return { file: reference.slice(0, colon), test: reference.slice(colon + 2) }
}

/** Where that file can be: helpers of several test files have no \`.test\` in their names. */
export function pathsOf(file: string): readonly string[] {
  const [of = '', ...within] = file.split('/')
  const path = `packages/${of}/test/${within.join('/')}`
  return [`${path}.test.ts`, `${path}.ts`]
}

/** The whole document, formatted as the repository's other documents are. */
export async function conformanceDocument(specifications: readonly Specification[]): Promise<string> {
  const all = specifications.flatMap(({ requirements }) => requirements.map((each) => reasonOf(each)?.kind ?? 'shown'))
  const count = (outcome: string): number => all.filter((each) => each === outcome).length
  const sum =
    `${all.length} requirements: ${count('shown')} shown by tests, ${count('does not apply')} that do not apply, ` +
    `${count('otherwise, on purpose')} done otherwise on purpose, ${count('open')} open.\n\n`
  const ends = [
    `## What is done otherwise, on purpose\n\n${listOf(specifications, 'otherwise, on purpose')}`,
    `## What is open\n\n${listOf(specifications, 'open')}`,
  ]
  const text = `${HEAD}${sum}${[...specifications.map(section), ...ends].join('\n\n')}\n`
  const options = { ...(await resolveConfig(DOCUMENT)), parser: 'markdown' }
  return format(text, options)
}

/** A reason that several requirements of a specification have is said once. */
function listOf(specifications: readonly Specification[], kind: string): string {
  const lines = specifications.flatMap(({ name, requirements }) => {
    const left = requirements.filter((each) => reasonOf(each)?.kind === kind)
    const reasons = [...new Set(left.map((each) => reasonOf(each)?.reason ?? ''))]
    return reasons.map((reason) => {
      const those = left.filter((each) => reasonOf(each)?.reason === reason)
      const sections = [...new Set(those.map(sectionOf))]
      const [only] = those
      const says = those.length === 1 && only !== undefined ? ` ${only.says} Here:` : ''
      return `- **${name}, section${sections.length === 1 ? '' : 's'} ${sections.join(', ')}**:${says} ${reason}.`
    })
  })
  return lines.length === 0 ? 'Nothing.' : lines.join('\n')
}

function section(specification: Specification): string {
  const { name, title, url, without, requirements } = specification
  const rows = requirements.map(
    (each) =>
      `| <a id="${idOf(specification, each).toLowerCase()}"></a>${sectionOf(each)} | ${each.level === 'text' ? '_text_' : each.level} | ${BINDS[each.binds]} | ${cell(each.says)} | ${cell(shownIn(each))} |`,
  )
  return [
    `## ${name}: ${title}`,
    `[${url.replace('https://', '')}](${url})${without === undefined ? '' : `. ${without}`}`,
    ['| Section | | Binds | Requires | Shown by |', '| --- | --- | --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n')
}

function shownIn(requirement: Requirement): string {
  if (!('shownBy' in requirement)) {
    const { kind, reason } = reasonOf(requirement) ?? { kind: 'open', reason: '' }
    return `${kind === 'does not apply' ? kind : `**${kind}**`}: ${reason}`
  }
  const tests = requirement.shownBy.map((reference) => {
    const { file, test } = partsOf(reference)
    return `${inCode(test)} (${file})`
  })
  return [...tests, ...(requirement.note === undefined ? [] : [requirement.note])].join('<br>')
}

/** Names of tests have backticks in them, in place of apostrophes. */
const inCode = (name: string): string => (name.includes('`') ? `\`\` ${name} \`\`` : `\`${name}\``)

const cell = (text: string): string => text.replaceAll('|', '\\|')

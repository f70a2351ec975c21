/** What happens at the instant from which every interleaving is played. */
import type { Callers } from '../callers.ts'
import { worldMs } from '../process-ports.ts'
import type { Process } from '../processes.ts'
import type { World } from '../world.ts'

export interface Scene {
  readonly name: string
  readonly about: string
  /** Whether the background works from the beginning. */
  readonly background: 'always' | 'in_peace'
  /** Up to the instant. */
  prepare(world: World, callers: Callers): Promise<void>
  begin(world: World, callers: Callers): void
  /** What the others do once one of them has stood still for longer than a lease. */
  silent?(world: World, callers: Callers, frozen: Process): void
}

const S = 1000

async function firstImport(world: World, has: 'access_token' | 'refresh_token_alone'): Promise<void> {
  const { input } = world.signInInput()
  const { accessToken: _token, tokenType: _type, expiresAt: _end, ...alone } = input
  const given = has === 'access_token' ? input : alone
  world.act('the first import', everybody(world)[0]?.custody.import({ id: 'x', client: 'c', ...given }) ?? never())
  await world.timeline.advance(world.timeline.now() + 1)
}
const everybody = ({ lives }: World) => lives.filter((life) => life !== null)
const never = (): never => {
  throw new Error('nobody is there')
}
const askAll = (world: World, callers: Callers): void =>
  everybody(world).forEach((life) => void callers.ask(life, null))
/** One asks, and the last of the others does something else. */
const askBeside = (world: World, callers: Callers, what: string, begin: (life: Life) => Promise<unknown>): void => {
  const lives = everybody(world)
  lives.slice(0, -1).forEach((life) => void callers.ask(life, null))
  const last = lives.at(-1) ?? never()
  world.act(what, begin(last))
}
type Life = ReturnType<typeof everybody>[number]

export const SCENES: readonly Scene[] = [
  {
    name: 'callers',
    about: 'a caller of each process asks for a token that nobody has',
    background: 'in_peace',
    prepare: (world) => firstImport(world, 'refresh_token_alone'),
    begin: askAll,
    // Whoever asked first has given up: one that waits for longer than patience after a freeze would be no caller.
    silent: (world, callers, frozen) =>
      everybody(world)
        .filter(({ process }) => process !== frozen && process.frozenSince === null)
        .forEach((life) => void callers.ask(life, null)),
  },
  {
    name: 'ahead',
    about: 'the background of each process finds a token that ends soon',
    background: 'always',
    async prepare(world, callers) {
      await firstImport(world, 'refresh_token_alone')
      askAll(world, callers)
      await world.timeline.advance(S)
      const dueAt = world.rowNow()?.dueAt ?? never()
      await world.timeline.advance(worldMs(dueAt) - 1)
    },
    begin: () => undefined,
  },
  {
    name: 'reconnect',
    about: 'one renews the sign-in while the other ones ask for a token',
    background: 'always',
    prepare: (world) => firstImport(world, 'refresh_token_alone'),
    begin: (world, callers) =>
      askBeside(world, callers, 'reconnect', ({ custody }) => custody.reconnect('x', world.signInInput().input)),
  },
  {
    name: 'delete',
    about: 'one deletes the connection while the other ones ask for a token',
    background: 'always',
    prepare: (world) => firstImport(world, 'refresh_token_alone'),
    begin: (world, callers) => askBeside(world, callers, 'delete', ({ custody }) => custody.delete('x')),
  },
]

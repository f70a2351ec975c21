/** The settings of `serve` as options of a command. */
import type { Command } from 'commander'
import { CONFIG_FLAG, CONFIG_VARIABLE, flagOf, helpOf, PLACEHOLDERS, SETTINGS } from '../serve/setting.ts'

export function addServeSettings(command: Command): Command {
  command.option(
    `${CONFIG_FLAG} <file>`,
    `a JSON file with settings (${CONFIG_VARIABLE}); flags and variables win over it`,
  )
  for (const setting of SETTINGS) {
    if ('everywhere' in setting) continue
    const flag = `${flagOf(setting)} <${PLACEHOLDERS[setting.kind.of]}>`
    const help = helpOf(setting)
    if ('one' in setting) command.option(flag, help, collected)
    else command.option(flag, help)
  }
  return command
}

const collected = (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), text]

import { sqliteReceivedEvents } from '../src/sqlite-received-events.ts'
import { receivedEventsContract } from './contract/received-events.ts'
import { backendOn, newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

receivedEventsContract(async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    ...(await backendOn(folder.database, keys, folder.remove)),
    openReceivedEvents: async () => {
      const database = await openDatabase(folder.database, keys)
      return { rows: sqliteReceivedEvents(database), close: () => database.close() }
    },
  }
})

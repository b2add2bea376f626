import { Db, MongoClient } from 'mongodb'
import * as v from 'valibot'
import { offerOf } from '../../test/support/offers.ts'
import { type Driver, Ear, hearing, whenSettled } from '../talk.ts'
import { withUsersAndDisk } from './engine.ts'

const Command = v.record(v.string(), v.unknown())

const driver: Driver = {
  async listen(user, act) {
    const ear = new Ear<MongoClient, MongoClient>((client) => client.close())
    const { connect, close } = MongoClient.prototype
    const { command } = Db.prototype
    const clientMethods = {
      connect(this: MongoClient): unknown {
        return whenSettled(Reflect.apply(connect, this, []), ear.connects(this, opening(this)))
      },
      close(this: MongoClient): unknown {
        return whenSettled(Reflect.apply(close, this, []), ear.ends(this))
      },
    }
    const databaseMethods = {
      command(this: Db, document: unknown, ...rest: unknown[]): unknown {
        const { databaseName } = this
        // Commands of the broker have nothing that JSON lacks.
        const text = JSON.stringify(document)
        const answered = ear.says(this.client, (client, rename) =>
          client.db(databaseName).command(v.parse(Command, JSON.parse(rename(text)))),
        )
        return whenSettled(Reflect.apply(command, this, [document, ...rest]), answered)
      },
    }
    await hearing(MongoClient.prototype, clientMethods, () => hearing(Db.prototype, databaseMethods, act))
    return ear.talk(user)
  },
}

/** @returns opens one like it */
function opening({ options }: MongoClient): () => Promise<MongoClient> {
  const { hosts, replicaSet, directConnection, tls, ca, credentials } = options
  const query = new URLSearchParams({
    ...(replicaSet === undefined ? { directConnection: String(directConnection) } : { replicaSet }),
    ...(credentials && { authSource: credentials.source }),
  })
  const address = `mongodb://${hosts.join(',')}/?${query}`
  return async () => {
    const client = new MongoClient(address, {
      ...(credentials && { auth: { username: credentials.username, password: credentials.password } }),
      ...(tls && { tls, ...(ca && { ca }) }),
      maxPoolSize: 1,
      connectTimeoutMS: 10_000,
      serverSelectionTimeoutMS: 10_000,
      serverMonitoringMode: 'poll',
    })
    return client.connect()
  }
}

export const mongodb = withUsersAndDisk('MongoDB', offerOf('mongodb', 'small'), driver)

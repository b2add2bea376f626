import { Client } from 'pg'
import * as v from 'valibot'
import { offerOf } from '../../test/support/offers.ts'
import { type Driver, Ear, hearing, type Rename, whenSettled } from '../talk.ts'
import { withUsersAndDisk } from './engine.ts'

const Texts = v.object({ text: v.string() })

const driver: Driver = {
  async listen(user, act) {
    const ear = new Ear<Client, Client>((client) => client.end())
    const { connect, query, end } = Client.prototype
    const methods = {
      connect(this: Client, ...rest: unknown[]): unknown {
        const { host, port, user, password, database } = this
        const login = { host, port, user, password: String(password), database }
        const answered = ear.connects(this, async () => {
          const client = new Client({ ...login, connectionTimeoutMillis: 10_000, query_timeout: 10_000 })
          await client.connect()
          return client
        })
        return whenSettled(Reflect.apply(connect, this, rest), answered)
      },
      query(this: Client, statement: unknown, values: unknown, ...rest: unknown[]): unknown {
        const text = typeof statement === 'string' ? statement : v.parse(Texts, statement).text
        const list: unknown[] = Array.isArray(values) ? values : []
        const answered = ear.says(this, (client, rename) =>
          // Without values several statements may go in one text.
          list.length === 0 ? client.query(rename(text)) : client.query(text, list.map(renamed(rename))),
        )
        return whenSettled(Reflect.apply(query, this, [statement, values, ...rest]), answered)
      },
      end(this: Client, ...rest: unknown[]): unknown {
        return whenSettled(Reflect.apply(end, this, rest), ear.ends(this))
      },
    }
    await hearing(Client.prototype, methods, act)
    return ear.talk(user)
  },
}

const renamed = (rename: Rename) => (value: unknown) => (typeof value === 'string' ? rename(value) : value)

export const postgresql = withUsersAndDisk('PostgreSQL', offerOf('postgresql', 'small'), driver)

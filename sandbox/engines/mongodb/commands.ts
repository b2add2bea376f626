/** Every command the stand-in has. */
import type { Commands } from './command.ts'
import { administration } from './commands/administration.ts'
import { authentication } from './commands/authentication.ts'
import { collections } from './commands/collections.ts'
import { documents } from './commands/documents.ts'
import { hello } from './commands/hello.ts'
import { notCarriedOut } from './commands/not-carried-out.ts'
import { queries } from './commands/queries.ts'
import { sessions } from './commands/sessions.ts'
import { users } from './commands/users.ts'

export const commands: Commands = {
  ...hello,
  ...authentication,
  ...users,
  ...collections,
  ...documents,
  ...queries,
  ...sessions,
  ...administration,
  ...notCarriedOut,
}

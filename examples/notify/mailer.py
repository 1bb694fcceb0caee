"""A service that sends mail."""

from pydantic import BaseModel

import perdure

mailer = perdure.Service("Mailer")


class Mail(BaseModel):
    """What is sent."""

    subject: str
    text: str


@mailer.handler()
async def send(ctx: perdure.Context, mail: Mail) -> None:
    """Send a mail."""
    await ctx.run_typed("Send the mail", deliver, mail=mail)


def deliver(mail: Mail) -> None:
    """In place of the print, hand it to your mail server."""
    print(f"To whom it may concern: {mail.subject}\n{mail.text}", flush=True)

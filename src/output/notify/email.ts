/** E-mail over SMTP. The Message-ID is made of the message's id, so a mailbox can drop a second copy. */
import type { Secret } from '../../secret.ts';
import { addressOf, codeOf, isLoopback, Undelivered } from './http.ts';
import type { Message } from './message.ts';

const patience = 10_000;

/** `smtps://user:password@host:465`, or `smtp://…:587`, which must offer STARTTLS unless it is this machine. */
export async function sendEmail(
  server: Secret,
  mail: { from: string; to: readonly string[] },
  message: Message,
): Promise<void> {
  const url = addressOf(server.reveal(), ['smtps:', 'smtp:']);
  const secure = url.protocol === 'smtps:';
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 465 : 587),
    secure,
    requireTLS: !secure && !isLoopback(url),
    ...(url.username === ''
      ? {}
      : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }),
    connectionTimeout: patience,
    greetingTimeout: patience,
    socketTimeout: patience,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const { rejected } = await transport.sendMail({
      from: mail.from,
      to: [...mail.to],
      subject: `[${message.project}] ${message.title}`,
      text: `${message.text}\n\nSecret: ${message.secret}\nTarget: ${message.target}\nAt: ${message.at}\n`,
      messageId: `<${message.id}@keyturn>`,
      date: new Date(message.at),
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    if (rejected.length > 0) throw new Undelivered('a receiver was rejected');
  } catch (error) {
    throw error instanceof Undelivered ? error : new Undelivered(smtpCode(error));
  } finally {
    transport.close();
  }
}

function smtpCode(error: unknown): string {
  const code = codeOf(error);
  const answer =
    error instanceof Error && 'responseCode' in error && typeof error.responseCode === 'number'
      ? ` ${error.responseCode}`
      : '';
  return `${code}${answer}`;
}

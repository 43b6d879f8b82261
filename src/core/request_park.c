/*
 * A backend that is away for long. The broker closes the channel of a consumer that owes it an acknowledgement for longer than its delivery time-out,
 * so nothing may wait for the backend that long: a result is parked in a durable queue of the broker (wire/outbox.h), and whatever else
 * has to ask or tell the backend something comes again later.
 */
#include "core/request_inner.h"

#include "core/ladder.h"

/* Until something that must ask the backend comes again. */
#define AGAIN_S 60

static bool
flow_needs_backend(const struct flow *f)
{
	return flow_next(f) != FLOW_NOTHING || flow_next_after_sending(f) != FLOW_NOTHING;
}

/* The copy finds the stored result, or asks again. */
static void
come_again(struct request *r, struct effects *out)
{
	if (r->queue.len > LADDER_QUEUE_MAX)
		return;
	request_report(out, REPORT_COMES_AGAIN)->delay_s = AGAIN_S;
	r->been.held++;
	r->mail = (struct mail){ .kind = MAIL_LATER, .delay_s = AGAIN_S };
	r->state = REQUEST_PUBLISHING;
	request_add(out, EFF_MAIL);
}

void
request_on_backend_away(struct request *r, struct effects *out)
{
	switch (r->state) {
	case REQUEST_CHECKING:
		come_again(r, out);
		break;
	case REQUEST_COUNTING:
	case REQUEST_CLOSING:
		/* Its result is stored: whoever finds it begins the rest anew. A dead letter that is due is not part of that. */
		if (r->mail.kind != MAIL_NONE || r->acked)
			break;
		flow_release(&r->flow);
		flow_init(&r->flow);
		come_again(r, out);
		break;
	case REQUEST_STORING:
		r->state = REQUEST_PARKING;
		r->after_park = r->mail;
		r->mail = (struct mail){ .kind = MAIL_PARK, .with_task = flow_needs_backend(&r->flow) };
		request_report(out, REPORT_PARKED);
		request_add(out, EFF_MAIL);
		break;
	case REQUEST_NEW:
	case REQUEST_ASKING: /* what cannot be asked answers at once */
	case REQUEST_HELD:
	case REQUEST_WAITING:
	case REQUEST_RUNNING:
	case REQUEST_PARKING:
	case REQUEST_PUBLISHING:
	case REQUEST_SETTLED:
		break;
	}
}

/* What follows is sent now, unless the task's message is along and will see to it. */
void
request_on_parked(struct request *r, struct effects *out)
{
	if (r->mail.with_task) {
		flow_release(&r->flow);
		flow_init(&r->flow);
	}
	r->mail = r->after_park;
	request_after_store(r, out);
}

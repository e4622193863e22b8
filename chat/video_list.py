"""The videos that a person may see, as a queryset whose pages are quick among millions.

Newest first, a database can walk down the ids and look at each row whether the person may see
it: quick for who may see many of them.  Or it can look up all of the person's own: quick for who
may see few.  It cannot tell these people apart, so that is done here.
"""

from chat.models import Attachment, AttachmentQuerySet, Participant, Visitor

FEW = 5000  # attachments in one's conversations, counted with one query


def videos_of(user: Visitor) -> AttachmentQuerySet:
    """Takes one query."""
    mine = Participant.objects.current().filter(user=user.pk).values("conversation_id")
    there = Attachment.objects.order_by().filter(conversation_id__in=mine)
    found = list(there.values_list("pk", "kind")[: FEW + 1])
    if len(found) > FEW:
        return Attachment.objects.videos().visible_when_tested(user)
    return Attachment.objects.visible_to(user).filter(
        pk__in=[pk for pk, kind in found if kind == Attachment.Kind.VIDEO]
    )

"""The videos that a person may see, as a queryset whose pages are quick among millions.

Newest first, a database can walk down the ids and look at each row whether the person may see
it: quick for who may see many of them.  Or it can look up all of the person's own: quick for who
may see few.  It cannot tell these people apart, so that is done here.
"""

from chat.models import Attachment, AttachmentQuerySet, Participant, Visitor

FEW = 5000  # attachments in one's conversations, counted with one query
# All videos of so few conversations are sorted: they may be old, and the walk to them long.
FEW_TALKS = 10


def videos_of(user: Visitor) -> AttachmentQuerySet:
    """Takes two queries."""
    mine = Participant.objects.current().filter(user=user.pk).values("conversation_id")
    talks = list(mine.order_by()[: FEW_TALKS + 1].values_list("conversation_id", flat=True))
    there = Attachment.objects.order_by()
    if len(talks) > FEW_TALKS:
        there = there.filter(conversation_id__in=mine)
    elif len(talks) == 1:
        there = there.filter(conversation_id=talks[0])
    else:
        there = there.filter(conversation_id__in=talks)
    found = list(there.values_list("pk", "kind")[: FEW + 1])
    if len(found) <= FEW:
        ids = [pk for pk, kind in found if kind == Attachment.Kind.VIDEO]
        return Attachment.objects.visible_to(user).filter(pk__in=ids)
    rows = there if len(talks) <= FEW_TALKS else Attachment.objects.all()
    return rows.videos().visible_when_tested(user)

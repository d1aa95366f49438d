"""Codes of languages as corpora write them: ``zh``, ``zho``, ``zh_TW``, ``cmn-Hans-CN``."""

from __future__ import annotations

import re

from entcomp.errors import EntcompError

# ISO 639-1 with the codes of ISO 639-2 (T, then B): langcodes has them all, but also
# thousands more, among which typing errors (chn, jap) are languages too.
TWO_LETTERS = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak
be:bel bg:bul bh:bih bi:bis bm:bam bn:ben bo:bod:tib br:bre bs:bos ca:cat ce:che ch:cha co:cos
cr:cre cs:ces:cze cu:chu cv:chv cy:cym:wel da:dan de:deu:ger dv:div dz:dzo ee:ewe el:ell:gre
en:eng eo:epo es:spa et:est eu:eus:baq fa:fas:per ff:ful fi:fin fj:fij fo:fao fr:fra:fre fy:fry
ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb:iw hi:hin ho:hmo hr:hrv ht:hat hu:hun
hy:hye:arm hz:her ia:ina id:ind:in ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl:ice it:ita iu:iku
ja:jpn jv:jav:jw ka:kat:geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kau:knc ks:kas
ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg
mh:mah mi:mri:mao mk:mkd:mac ml:mal mn:mon mr:mar ms:msa:may mt:mlt my:mya:bur na:nau nb:nob
nd:nde ne:nep ng:ndo nl:nld:dut nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori
os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron:rum:mo ru:rus rw:kin sa:san
sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk:slo sl:slv sm:smo sn:sna so:som sq:sqi:alb sr:srp
ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl:fil tn:tsn
to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln
wo:wol xh:xho yi:yid:ji yo:yor za:zha zh:zho:chi:cmn zu:zul
"""
# Languages of FLORES-200, FLEURS and Common Voice without a code of two letters.
THREE_LETTERS = """
ace acm acq aeb afb ajp aln als apc apd arb arq ars ary arz ast awa ayl ayr azb azj ban bar bas
bcl bem bew bho bjn brx bug cdo ceb chr cjk ckb cnh cpx crh csb dik doi dsb dyu eml fon frr fur
fuv gaa gag gan gaz gom gsw hak haw hil hmn hne hsb hsn ilo kab kac kam kbp kea khk kmb kmr kri
lij lld lmo ltg lua luo lus lvs lzh mad mag mai mdf mhr min mni mnw mos mrj myv nan nds nhe nhi
npi nso nus ory pag pam pap pbt pcm pes plt pms prs quy rmy sah sat scn shn skr swh szl taq tig
tok tpi tui tum tzm umb uzn vec vot war wuu ydd yue zgh zsm zza
"""
# What people write for another language's code, often its country's. kr is Kanuri in ISO 639-1.
MISTAKEN = {"cn": "zh", "chn": "zh", "jp": "ja", "jap": "ja", "kr": "ko", "cz": "cs", "gr": "el"}
KNOWN = {
    code: codes[0]
    for codes in (one.split(":") for one in (TWO_LETTERS + THREE_LETTERS).split())
    for code in codes
}


def language_of(code: str) -> str:
    """The language in a code: two letters where ISO 639-1 has it, else three.

    Raises EntcompError for a code that is not in the lists above.

    >>> [language_of(code) for code in ("pt-BR", "zh_TW", "cmn-Hans-CN", "jpn", "ger", "yue")]
    ['pt', 'zh', 'zh', 'ja', 'de', 'yue']
    """
    first = _parts(code)[0]
    if first in KNOWN:
        return KNOWN[first]
    meant = f"; did you mean {MISTAKEN[first]}?" if first in MISTAKEN else ""
    raise EntcompError(
        f"'{code}' is not a known language; codes are those of ISO 639, as fr, fra or fr_CA{meant}"
    )


def is_romanised(code: str) -> bool:
    """Whether a code says that the text is in Latin letters: ``ja-Latn``."""
    return "latn" in _parts(code)[1:]


def _parts(code: str) -> list[str]:
    return re.split(r"[-_.@]", code.strip().lower())

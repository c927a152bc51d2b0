"""Names for drawn people: pronounceable, unique, the same for every seed."""

from faceline_core.errors import FacelineError


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    """
    Ada Bela Chidi Dana Emil Farah Goran Hana Ivo Jana Kofi Lena Mila Noor Otto Pia Quim Rosa Sami Tove Uma
    Vera Wim Xenia Yuki Zora Abel Bruna Cleo Dario Elif Femi Gita Hugo Ines Jomo Kaya Lars Mei Nils Olga Pavel
    Rani Selim Tara Ugo Vito Wanda Yara Zeno Amir Birk Cora Dilan Esra Finn Gala Hedda Igor Juno Kenji Livia
    Marek Nadia Omar Petra Remy Sanna Taro Vuk Wren Yael
    """
)
_LAST = _words(
    """
    Adler Brandt Costa Duran Eklund Ferrer Garai Holm Ito Jansen Keita Lund Moreau Novak Okafor Petrov Quist
    Rossi Sato Tanaka Ueda Varga Weiss Xu Yilmaz Zeman Abe Bauer Cruz Diallo Evans Fontana Gruber Haas Ivanov
    Jung Kovac Lopez Mori Nagy Olsen Pires Reyes Silva Toth Urban Vega Wolf Yamada Zanetti Arslan Berg Ceder
    Dragan Engel Farkas Gomez Horvat Imai Jovic Khan Lind Mehta Nyman Ortiz Park Rahimi Sokol Tran Vidal
    """
)
MOST = len(_FIRST) * len(_LAST)


def names(count: int) -> list[str]:
    """`count` folder names such as `Ada_Adler`; the first n of a longer list are the list of n.

    Raises:
        FacelineError: where there are not so many names.
    """
    if count > MOST:
        raise FacelineError(f"sample.people is {count}, and there are names for {MOST}. Ask for fewer people")
    first, last = len(_FIRST), len(_LAST)
    return [f"{_FIRST[i % first]}_{_LAST[(i + i // first) % last]}" for i in range(count)]
